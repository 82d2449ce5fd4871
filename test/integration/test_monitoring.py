"""Alerts and dashboard: every metric they name exists, every alert fires where it must, every query is one that a real
Prometheus understands."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from exposition import rows
from server import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARD = json.loads((ROOT / "deploy/grafana/tailwater.json").read_text())
NAME = re.compile(r"\b(?:tailwater|process)_[a-z0-9_]+")


def unknown(text: str) -> set[str]:
    """Metrics that are named but not in the table."""
    table = rows()
    bases = {re.sub(r"_(bucket|sum|count)$", "", n) if n not in table else n for n in NAME.findall(text)}
    return bases - set(table)


def promtool(*arguments: str) -> None:
    ended = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def panels() -> list[dict]:
    return [p for p in DASHBOARD["panels"] if p["type"] != "row"]


def test_alerts():
    rules = (PROMETHEUS / "alerts.yaml").read_text()
    assert unknown(rules) == set()
    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts_test.yaml")
    alerts = re.findall(r"- alert: (\w+)", rules)
    tried = re.findall(r"alertname: (\w+)", (PROMETHEUS / "alerts_test.yaml").read_text())
    assert sorted(alerts) == sorted(tried) and len(set(alerts)) == len(alerts)


def test_dashboard_names_what_exists():
    queries = [t["expr"] for p in panels() for t in p["targets"]]
    assert len(queries) > 40
    for query in [*queries, *(v["query"] for v in DASHBOARD["templating"]["list"])]:
        assert unknown(query) == set(), query
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


def test_dashboard_is_understood(tmp_path):
    """As recording rules, its queries pass promtool's parser."""
    queries = [t["expr"].replace("$job", ".*").replace("$instance", ".*") for p in panels() for t in p["targets"]]
    recorded = [{"record": f"panel:{n}", "expr": q} for n, q in enumerate(queries)]
    (tmp_path / "queries.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    promtool("check", "rules", str(tmp_path / "queries.yaml"))


def test_panels_do_not_overlap():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("text", ["tailwater_nothing", "rate(tailwater_ready_total[5m])"])
def test_the_check_finds_what_is_not_there(text):
    assert unknown(text)
