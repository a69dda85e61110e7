"""Python and packages against what reswork's own metadata ask for; there is no second list."""

from collections.abc import Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from reswork.environment.context import Context
from reswork.environment.report import Finding


def version_findings(context: Context) -> tuple[Finding, ...]:
    """One finding for Python, one for the packages together, one for each that will not do."""
    if not context.needed:
        told = "reswork is not installed here, so nobody knows which versions it asks for"
        return (Finding("packages", "look", told, "pip install -e . in its folder, or make lab"),)
    return (_python(context), *_packages(context.needed, context.installed))


def _python(context: Context) -> Finding:
    if SpecifierSet(context.python_needed).contains(context.python, prereleases=True):
        return Finding("Python", "good", context.python)
    told = f"{context.python}; reswork needs {context.python_needed}"
    return Finding(
        "Python", "bad", told, "make a new environment with a newer Python and install reswork there"
    )


def _packages(needed: Iterable[str], installed: Mapping[str, str]) -> tuple[Finding, ...]:
    required = [each for each in map(Requirement, needed) if applies(each)]
    wrong = tuple(finding for each in required if (finding := _judged(each, installed)) is not None)
    fine = len(required) - len(wrong)
    told = f"{fine} of {len(required)} that reswork needs are here in a version that it works with"
    if not wrong:
        return (Finding("packages", "good", told),)
    remedy = "see the next lines, or all at once: pip install --upgrade reswork"
    return (Finding("packages", "bad", told, remedy), *wrong)


def applies(requirement: Requirement) -> bool:
    """Whether a requirement is one of this system and of no extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _judged(requirement: Requirement, installed: Mapping[str, str]) -> Finding | None:
    """What is wrong with a package, or None."""
    name, wanted = requirement.name, f'pip install "{requirement.name}{requirement.specifier}"'
    version = installed.get(canonicalize_name(name))
    if version is None:
        return Finding(name, "bad", f"not installed; needed is {requirement.specifier}", wanted)
    if requirement.specifier.contains(version, prereleases=True):
        return None
    for each in requirement.specifier:
        if each.operator == "!=" and not each.contains(version, prereleases=True):  # such as 7.0.*
            return Finding(
                name, "bad", f"{version} is known not to work ({each.version} is left out)", wanted
            )
    return Finding(name, "bad", f"{version}; needed is {requirement.specifier}", wanted)


def misfits(requirements: Iterable[str], installed: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences on the requirements of some other package that are not met."""
    found = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if applies(requirement) and (wrong := _judged(requirement, installed)) is not None:
            found.append(f"{wrong.name} {wrong.told}")
    return tuple(found)
