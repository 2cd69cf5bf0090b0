"""Containers whose share of the processor is time: written as the kernel writes its files."""

import os

import pytest

from camcli.models.runtime import openvino
from camcli.models.runtime.cpu_quota import quota


@pytest.fixture
def system(tmp_path):
    """Makes the kernel's files, and says what they allow."""

    def allows(own, **files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return quota(tmp_path / "groups", tmp_path / "own")

    return allows


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        # docker run --cpus 2, version 2: the container sees its group as the top.
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        # A part of a core is one; of one and a half, two.
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        # systemd-run -p CPUQuota=: a group within groups, the least of which holds.
        (
            "0::/a.slice/b.scope\n",
            {"a.slice/cpu.max": "300000 100000\n", "a.slice/b.scope/cpu.max": "max 100000\n"},
            3,
        ),
        (
            "0::/a.slice/b.scope\n",
            {"a.slice/cpu.max": "300000 100000\n", "a.slice/b.scope/cpu.max": "100000 100000\n"},
            1,
        ),
        # Version 1: the path is the host's, and the container has its own group at the top.
        (
            "5:devices:/docker/0f\n4:cpu,cpuacct:/docker/0f\n0::/\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("3:cpuset:/\n", {"cpuset/cpu.max": "100000 100000\n"}, None),
        ("0::/gone\n", {"unrelated": ""}, None),
        ("0::/\n", {"cpu.max": "what is this\n"}, None),
        ("", {"cpu.max": "100000 100000\n"}, None),
    ],
)
def test_what_the_kernel_says(system, own, files, cores):
    assert system(own, **files) == cores


def test_a_system_without_control_groups(tmp_path):
    assert quota(tmp_path / "groups", tmp_path / "own") is None


def test_threads_and_lanes_are_no_more_than_that(monkeypatch):
    monkeypatch.setattr(openvino, "_cores", None)
    monkeypatch.setattr(openvino, "quota", lambda: None)
    every = openvino.available_cores()
    assert 1 <= every <= (os.cpu_count() or 1)
    monkeypatch.setattr(openvino, "quota", lambda: 1)
    assert openvino.available_cores() == 1
    monkeypatch.setattr(openvino, "quota", lambda: 10_000)
    assert openvino.available_cores() == every
