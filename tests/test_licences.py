"""What ``pip install parrotfish`` brings with it may be passed on under terms like ours."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

COPYLEFT = re.compile(r"(?<!L)GPL|Affero|(?<!Lesser )General Public", re.IGNORECASE)


def brought(name: str) -> Iterator[Distribution]:
    """A distribution without its extras, and all that these need in turn."""
    seen, wanted = set(), [Requirement(name)]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        found = distribution(name)
        yield found
        for text in found.requires or ():
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                wanted.append(needed)


def terms(of: Distribution) -> str:
    """What a distribution says of its licence; of a text only the beginning, which names it."""
    classifiers = [line for line in of.metadata.get_all("Classifier", []) if line.startswith("License")]
    fields = of.metadata.get("License-Expression", ""), (of.metadata.get("License", "") or "")[:200]
    return " ".join((*fields, *classifiers)).strip()


def test_nothing_in_the_core_is_copyleft() -> None:
    found = {one.name: terms(one) for one in brought("parrotfish")}
    assert len(found) > 30
    assert {name: told for name, told in found.items() if not told or COPYLEFT.search(told)} == {}


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0", True),
        ("License :: OSI Approved :: GNU General Public License v2 (GPLv2)", True),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False),
        ("LGPL-2.1", False),
        ("MIT", False),
    ],
)
def test_which_terms_are_refused(told: str, refused: bool) -> None:
    assert bool(COPYLEFT.search(told)) == refused
