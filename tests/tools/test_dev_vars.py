import pytest

from tools.dev_vars import parse_dev_vars

# Each was compared with what the package dotenv 16 makes of it, which wrangler uses.
READ = [
    ("A=1\nB = two # c\n", {"A": "1", "B": "two"}),
    ("A='x # y'\n", {"A": "x # y"}),
    ('A="a\\nb"\n', {"A": "a\nb"}),
    ("A=`it's`\n", {"A": "it's"}),
    ("export A=1", {"A": "1"}),
    ("A='{\n \"x\": 1\n}'\nB=2", {"A": '{\n "x": 1\n}', "B": "2"}),
    ("A=\nB=\n", {"A": "", "B": ""}),
    ("A: yes\n", {"A": "yes"}),
    ("A='unclosed\nB=2", {"A": "'unclosed", "B": "2"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("A='x' # c\n", {"A": "x"}),
    ("A=a'b", {"A": "a'b"}),
    ("  A=1  ", {"A": "1"}),
    ("#A=1\n\n", {}),
    ("A='it\\'s'\n", {"A": "it\\'s"}),
    ('A="x" y', {"A": '"x" y'}),
]


@pytest.mark.parametrize(("text", "values"), READ)
def test_it_reads_what_wrangler_reads(text: str, values: dict[str, str]) -> None:
    found = parse_dev_vars(text)

    assert found.values == values
    assert found.stray_lines == ()
    assert found.repeated == ()


def test_lines_that_nobody_reads_are_reported() -> None:
    found = parse_dev_vars('# a login\nQWEN_CLI_AUTH={"access_token": "x",\n  "expiry_date": 1}\nA=1\n')

    assert found.stray_lines == (3,)
    assert found.values == {"QWEN_CLI_AUTH": '{"access_token": "x",', "A": "1"}


def test_names_that_are_set_twice_are_reported() -> None:
    found = parse_dev_vars("A=1\nB=1\nA=2\nA=3\n")

    assert found.repeated == ("A",)
    assert found.values["A"] == "3"
