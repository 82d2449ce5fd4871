"""
The manifests of deploy/kubernetes. In the short form what can be read out of the files; in the long form they are built with
kustomize and judged by kubeconform with the schemas of Kubernetes itself (all from Go's module proxy), and by the rules of the
restricted pod security standard.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from server import binary

BASE = ROOT / "deploy/kubernetes/base"
KUBERNETES = "v1.28.15"
TOOLS = ["github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7", "sigs.k8s.io/kustomize/kustomize/v5@v5.4.3"]


def load(name: str) -> dict:
    return yaml.safe_load((BASE / name).read_text())


def pod() -> dict:
    return load("deployment.yaml")["spec"]["template"]["spec"]


# --- short form -------------------------------------------------------------------------------------------------------


def test_every_file_is_in_the_kustomization():
    listed = load("kustomization.yaml")
    files = {f for generator in listed["configMapGenerator"] for f in generator["files"]}
    assert {p.name for p in BASE.iterdir()} == {"kustomization.yaml", *files, *listed["resources"]}


def test_configuration_is_accepted(tmp_path):
    """With a key set in the place of the Secret's."""
    manual = subprocess.run([binary(), "help", "options"], capture_output=True, text=True, timeout=30).stdout
    if "`ops_listen` is refused" in manual:
        pytest.skip("this version has no ops listener")
    keys = {"keys": [{"kty": "RSA", "kid": "1", "use": "sig", "alg": "RS256", "e": "AQAB",
                      "n": "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIKdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw"}]}
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    file = tmp_path / "tailwater.yaml"
    file.write_text((BASE / "tailwater.yaml").read_text().replace("/run/secrets/tailwater", str(tmp_path)))
    checked = subprocess.run([binary(), "check", "--offline", "--config", file], capture_output=True, text=True, timeout=30,
                             env={"PATH": os.environ["PATH"], "MONGODB_URI": "mongodb://127.0.0.1:1/logs", "TAILWATER_LISTEN": ""})
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_is_given_the_time_that_its_drain_takes():
    delay = load("tailwater.yaml")["drain_delay_s"]
    assert delay == 5 and pod()["terminationGracePeriodSeconds"] >= delay + 25 + 5


def test_ports_and_places_agree():
    (container,) = pod()["containers"]
    configuration = load("tailwater.yaml")
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert configuration["listen"].endswith(f":{ports['http']}") and configuration["ops_listen"].endswith(f":{ports['ops']}")
    probes = {name: container[name]["httpGet"] for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    assert {name: p["path"] for name, p in probes.items()} == \
        {"livenessProbe": "/livez", "readinessProbe": "/readyz", "startupProbe": "/livez"}
    assert all(p["port"] == "ops" for p in probes.values())
    mounts = {m["mountPath"] for m in container["volumeMounts"]}
    assert {str(Path(configuration["auth"]["jwt"]["jwks_file"]).parent), str(Path(container["args"][2]).parent)} <= mounts
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod()["volumes"]}
    (service,) = load("service.yaml")["spec"]["ports"]
    assert service["targetPort"] == "http"


def break_pod_security(spec: dict) -> list[str]:
    """What of the restricted pod security standard (v1.28) this pod breaks."""
    broken = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    broken += [v["name"] for v in spec["volumes"] if not {"configMap", "secret", "emptyDir", "projected"} & set(v)]
    general = spec.get("securityContext", {})
    for container in spec["containers"]:
        own = general | container.get("securityContext", {})
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            broken.append("allowPrivilegeEscalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            broken.append("capabilities")
        if own.get("runAsNonRoot") is not True or own.get("runAsUser") == 0:
            broken.append("runAsNonRoot")
        if own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            broken.append("seccompProfile")
        if any("hostPort" in p for p in container["ports"]):
            broken.append("hostPort")
    return broken


def test_pod_is_restricted():
    assert break_pod_security(pod()) == []
    assert pod()["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    for spoil in (lambda p: p["securityContext"].pop("seccompProfile"), lambda p: p.update(hostNetwork=True),
                  lambda p: p["containers"][0]["securityContext"].update(capabilities={"drop": []})):
        worse = copy.deepcopy(pod())
        spoil(worse)
        assert break_pod_security(worse), "the control"
    assert load("namespace.yaml")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


# --- long form --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """go(*words): Go's own command, with tools and modules in a folder of ours (TAILWATER_TEST_GO keeps it)."""
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    folder = Path(os.environ.get("TAILWATER_TEST_GO") or tmp_path_factory.mktemp("go"))
    environment = os.environ | {"GOPATH": str(folder), "GOFLAGS": "-modcacherw", "GOBIN": str(folder / "bin")}

    def run(*words: str) -> str:
        ended = subprocess.run(["go", *words], env=environment, capture_output=True, text=True, timeout=900, cwd=folder)
        assert ended.returncode == 0, ended.stderr[-2000:]
        return ended.stdout

    for tool in TOOLS:
        if not (folder / "bin" / tool.split("@")[0].rpartition("/")[2].replace("v5", "kustomize")).exists():
            try:
                run("install", "-p", "1", tool)
            except AssertionError as error:
                pytest.skip(f"{tool} cannot be had here: {str(error)[-300:]}")
    run.tools = folder / "bin"
    return run


def strict(schema):
    """OpenAPI 2 as JSON schema that knows no other keys than those it lists."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: strict(v) for k, v in schema.items() if not k.startswith("x-")}
    if isinstance(out.get("properties"), dict) and "additionalProperties" not in out:
        out["additionalProperties"] = False
    if out.get("format") == "int-or-string":
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    return out


@pytest.fixture(scope="module")
def schemas(go, tmp_path_factory) -> Path:
    """A folder of schemas, one a kind, made from the document that Kubernetes publishes of itself."""
    module = json.loads(go("mod", "download", "-json", f"k8s.io/kubernetes@{KUBERNETES}"))
    swagger = json.loads(Path(module["Dir"], "api/openapi-spec/swagger.json").read_text())
    definitions = strict(swagger["definitions"])
    folder = tmp_path_factory.mktemp("schemas")
    wanted = {(d["apiVersion"], d["kind"]) for o in ("base", "connections") for d in build(go, o)}
    for name, definition in swagger["definitions"].items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            version = "/".join(filter(None, (kind["group"], kind["version"])))
            if (version, kind["kind"]) in wanted:
                suffix = "-".join(filter(None, (kind["group"].partition(".")[0], kind["version"])))
                file = folder / f"{kind['kind'].lower()}-{suffix}.json"
                file.write_text(json.dumps({"$ref": f"#/definitions/{name}", "definitions": definitions}))
    return folder


def build(go, overlay: str) -> list[dict]:
    text = subprocess.run([go.tools / "kustomize", "build", ROOT / "deploy/kubernetes" / overlay], capture_output=True, text=True,
                          timeout=120)
    assert text.returncode == 0, text.stderr
    return list(yaml.safe_load_all(text.stdout))


def conform(go, schemas: Path, documents: list[dict]) -> tuple[int, str]:
    place = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    judged = subprocess.run([go.tools / "kubeconform", "-strict", "-summary", "-output", "json", "-schema-location", place, "-"],
                            input=yaml.safe_dump_all(documents), capture_output=True, text=True, timeout=120)
    return judged.returncode, judged.stdout + judged.stderr


@pytest.mark.long
@pytest.mark.parametrize("overlay", ["base", "connections"])
def test_kubeconform(go, schemas, overlay):
    documents = build(go, overlay)
    status, told = conform(go, schemas, documents)
    assert status == 0, told
    summary = json.loads(told)["summary"]
    assert summary == {"valid": len(documents), "invalid": 0, "errors": 0, "skipped": 0} and len(documents) == 8


@pytest.mark.long
def test_kubeconform_finds_mistakes(go, schemas):
    """The control: an unknown key, a wrong type."""
    for key, value in (("replica", 3), ("replicas", "three")):
        documents = build(go, "base")
        next(d for d in documents if d["kind"] == "Deployment")["spec"][key] = value
        status, told = conform(go, schemas, documents)
        assert status == 1 and key in told, told


@pytest.mark.long
def test_selectors_find_the_pods(go):
    """What kustomize makes of the labels: service, budget, autoscaler and policy all mean the deployment's pods."""
    for overlay in ("base", "connections"):
        found = {d["kind"]: d for d in build(go, overlay)}
        assert all(d["metadata"].get("namespace") == "tailwater" for kind, d in found.items() if kind != "Namespace")
        deployment = found["Deployment"]["spec"]
        labels = deployment["template"]["metadata"]["labels"]
        assert labels and deployment["selector"]["matchLabels"] == labels
        assert found["Service"]["spec"]["selector"] == labels
        assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
        assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
        scaler = found["HorizontalPodAutoscaler"]["spec"]
        assert scaler["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
        assert scaler["minReplicas"] == deployment["replicas"] == 3
        assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] < scaler["minReplicas"]
        volumes = {v["name"]: v for v in deployment["template"]["spec"]["volumes"]}
        assert volumes["configuration"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
        assert volumes["secrets"]["secret"]["defaultMode"] == 0o440
        metrics = [m.get("pods", {}).get("metric", {}).get("name") for m in scaler["metrics"]]
        assert ("tailwater_connections" in metrics) == (overlay == "connections")
