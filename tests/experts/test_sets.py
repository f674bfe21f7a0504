"""Ready-made sets of experts: what concerns all of them is one argument."""

from typing import Any

import pytest

from sklearn_genremoe import default_experts, paper_experts


@pytest.mark.parametrize("make", [default_experts, paper_experts])
def test_all_domains_read_files_alike(make: Any) -> None:
    files: dict[str, Any] = {"sample_rate": 16000, "offset": 5.0, "on_error": "warn", "n_jobs": 2}
    domains = [pipe[0] for _, pipe in make(12.0, **files)]
    assert len(domains) == (7 if make is default_experts else 4)
    for domain in domains:
        assert {**files, "duration": 12.0}.items() <= domain.get_params().items()


def test_short_files_are_repeated_for_the_default_experts() -> None:
    def fills(experts: list[Any]) -> set[str]:
        return {pipe[0].fill for _, pipe in experts}

    assert fills(default_experts()) == fills(paper_experts(fill="repeat")) == {"repeat"}
    assert fills(paper_experts()) == fills(default_experts(fill="zeros")) == {"zeros"}


def test_networks_and_linear_experts_share_what_concerns_both() -> None:
    named = default_experts(class_weight="balanced", random_state=3, lr=0.1)
    for _, pipe in named:
        assert pipe[-1].class_weight == "balanced"
        assert pipe[-1].random_state == 3
    assert [pipe[-1].lr for _, pipe in named[:5]] == [0.1] * 5
    assert {pipe[-1].class_weight for _, pipe in default_experts()} == {None}
