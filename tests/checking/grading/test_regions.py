"""Markers: what they enclose, what is wrong with them, and what stands in the place of a solution."""

import pytest

from tinyad.checking.grading.regions import Region, find_regions, for_students, has_markers, sections, with_solutions

TEXT = """\
class Value:
    ### BEGIN SOLUTION
    extra = 1
    ### END SOLUTION
    def backward(self):
        x = 1
        ## BEGIN SOLUTION
        if x:
            return 2
        ## END SOLUTION
### BEGIN SOLUTION
TABLE = [1]
### END SOLUTION
def test():
    assert True
    ### BEGIN HIDDEN TESTS
    assert backward() == 2
    ### END HIDDEN TESTS
"""

STUDENT = """\
class Value:
    # YOUR CODE HERE
    pass
    def backward(self):
        x = 1
        # YOUR CODE HERE
        raise NotImplementedError("backward is yours to write")
# YOUR CODE HERE
pass
def test():
    assert True
"""


def test_the_two_copies_of_a_text():
    assert for_students(TEXT) == STUDENT
    assert with_solutions(TEXT) == "".join(line for line in TEXT.splitlines(keepends=True) if "##" not in line)
    compile(for_students(TEXT), "student", "exec")


def test_a_text_that_is_no_python_has_nothing_in_the_place_of_a_solution():
    text = "Derive it.\n<!-- BEGIN SOLUTION -->\nIt is 2.\n<!-- END SOLUTION -->\n"
    assert for_students(text, python=False) == "Derive it.\n"
    assert find_regions(text) == ([Region("SOLUTION", 2, 4)], [])


def test_sections():
    text = "x = 1\n### BEGIN FILE a/ops.py\n\ny = 2\n### END FILE\n### BEGIN FILE b.py\n### END FILE\n"
    assert list(sections(text)) == [("a/ops.py", "y = 2\n", 3), ("b.py", "\n", 6)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("### BEGIN SOLUTION\nx = 1", 1, "BEGIN SOLUTION has no end"),
        ("x = 1\n### END SOLUTION", 2, "END SOLUTION, but no region is open"),
        (
            "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION\n### END SOLUTION",
            2,
            "inside of SOLUTION (line 1): no nesting",
        ),
        ("### BEGIN SOLUTION\n### END HIDDEN TESTS\n### END SOLUTION", 2, "but the region that is open is SOLUTION (line 1)"),
        ("### BEGIN SOLUTION\n### BEGIN FILE a.py\n### END FILE\n### END SOLUTION", 2, "BEGIN FILE inside of SOLUTION"),
        ("### BEGIN FILE\n### END FILE", 1, "names no file"),
        ("### Begin solution\nx = 1", 1, "looks like a marker and is none"),
        ("# BEGIN THE SOLUTION\nx = 1", 1, "looks like a marker and is none"),
        ("### END SOLUTIONS", 1, "looks like a marker and is none"),
        ("### BEGIN HIDDEN_TESTS", 1, "looks like a marker and is none"),
    ],
)
def test_what_is_wrong_with_markers(text, line, said):
    problem = find_regions(text)[1][0]
    assert problem.line == line and said in problem.text
    assert text.endswith("END FILE") or has_markers(text)


def test_words_about_solutions_are_no_markers():
    assert find_regions('"""Between BEGIN SOLUTION and END SOLUTION."""\n# the solution begins here\nx = "END SOLUTION"') == (
        [],
        [],
    )


def test_regions_in_a_section():
    text = "### BEGIN FILE a.py\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n### END FILE\n"
    assert [region.kind for region in find_regions(text)[0]] == ["SOLUTION", "FILE"] and find_regions(text)[1] == []
