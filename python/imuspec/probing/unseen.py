"""Which subjects of a labelled set an encoder was pre-trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imuspec.run.named import PeopleSeen

__all__ = ["known_subjects", "subjects_seen"]

_OWN = ("folder ", "cohort ")  # identities of data that is no public set
_N_NAMED = 5


def known_subjects(seen: PeopleSeen, *, people: Sequence[str], subjects: Sequence[Any]) -> list[Any]:
    """Return the subjects of a labelled set that are taken as people whom an encoder or a model has seen.

    In a set with the same people they have the same names. In own data, a name that is no number is taken as the same person,
    unless both are folders.

    Parameters
    ----------
    seen : PeopleSeen
        The people seen.
    people : sequence of str
        Identities of the people of the set, as `imuspec.datasets.people_of`.
    subjects : sequence of object
        Subjects of the set.
    """
    alike = [subject for subject in subjects if str(subject) in {str(other) for other in seen.subjects or ()}]
    if set(seen.people) & set(people):
        return list(subjects) if seen.subjects is None else alike
    own = any(identity.startswith(_OWN) for identity in seen.people)
    folders = all(identity.startswith("folder ") for identity in (*seen.people, *people))
    numbers = all(str(subject).isdecimal() for subject in alike)  # many sets number their people
    return alike if own and not folders and not numbers else []


def subjects_seen(
    run: str, seen: PeopleSeen, *, name: str, people: Sequence[str], subjects: Sequence[Any]
) -> tuple[list[Any], str]:
    """Return the subjects to leave out of a probe, and what a reader must know of the others.

    Parameters
    ----------
    run : str
        Name of the encoder, for the note.
    seen : PeopleSeen
        People that it was pre-trained on.
    name : str
        Name of the labelled set.
    people : sequence of str
        Identities of its people, as `imuspec.datasets.people_of`.
    subjects : sequence of object
        Its subjects.

    Returns
    -------
    list of object
        Subjects that the encoder was pre-trained on; empty if those are all subjects, so that none would remain.
    str
        Note; empty if nobody is known to be in both sets.
    """
    alike = [subject for subject in subjects if str(subject) in {str(other) for other in seen.subjects or ()}]
    own = any(identity.startswith(_OWN) for identity in seen.people)
    known = known_subjects(seen, people=people, subjects=subjects)
    if set(seen.people) & set(people):
        if seen.subjects is None:
            return [], f"{run}: pre-trained on the people of {name}: scores are not of unseen people"
        if len(alike) < len(subjects):
            n_left = len(subjects) - len(alike)
            note = f"{name}: judged on {n_left} subjects; pre-training saw the other {len(alike)}"
            return alike, note if alike else ""
        return [], (
            f"{run}: pre-trained on the signals of all these people: scores are not of unseen people; "
            "source.subjects=0.5 would leave half for probing"
        )
    if not (alike and own):
        return [], ""
    if all(identity.startswith("folder ") for identity in (*seen.people, *people)):
        return [], f"{run}: pre-trained on another folder; subjects with the same names there are taken as other people"
    more = f" and {len(alike) - _N_NAMED} more" if len(alike) > _N_NAMED else ""
    shown = ", ".join(map(str, alike[:_N_NAMED])) + more
    if not known:
        return [], f"{run}: pre-trained on people with the same numbers ({shown}): taken as other people"
    if len(alike) < len(subjects):
        return alike, f"{name}: judged without {len(alike)} subjects whose names pre-training saw: {shown}"
    return [], f"{run}: pre-trained on people with all these names ({shown}): scores may not be of unseen people"
