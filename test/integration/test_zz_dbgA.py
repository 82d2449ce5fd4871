from test_tail import *
import pytest
def test_x(serve, mongo, db, hub, seed):
    server = serve(*RULES)
    try:
        run_rounds(db, mongo, hub, server, RULES, seed, 80)
    except BaseException as e:
        print("FAILED", repr(e)[:300]); print(server.log_tail(15)); print(server.running); 
        import subprocess; print(subprocess.run(["ls -l /proc/%d/fd | wc -l; cat /proc/%d/limits | grep files; cat /proc/%d/status | grep -E 'Rss|Threads'" % ((server.pid,)*3)],shell=True,capture_output=True,text=True).stdout)
        try: print(server.health())
        except BaseException as e: print("health", repr(e))
        raise
