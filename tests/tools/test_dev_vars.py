import pytest

from tools.dev_vars import decode_text, parse_dev_vars

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
    ('A="{"x": "y"}"\nB=2', {"A": '{"x": "y"}', "B": "2"}),
    ('A="{\\"x\\": \\"y\\"}"', {"A": '{\\"x\\": \\"y\\"}'}),
    ("A=`x`y`", {"A": "x`y"}),
    ("A=\n'x'\nB=2", {"A": "x", "B": "2"}),
    ("A = \u00a0x\u00a0\n", {"A": "x"}),
    ("A=x #y", {"A": "x"}),
    ("A='x'#y", {"A": "x"}),
    ("A=#y", {"A": ""}),
    ("A\n=1", {"A": "1"}),
    ("A:\n=1", {"A": "=1"}),
]


@pytest.mark.parametrize(("text", "values"), READ)
def test_it_reads_what_wrangler_reads(text: str, values: dict[str, str]) -> None:
    found = parse_dev_vars(text)

    assert found.values == values
    assert found[1:] == ((), (), ())


def test_lines_that_nobody_reads_are_reported() -> None:
    found = parse_dev_vars('# a login\nQWEN_CLI_AUTH={"access_token": "x",\n  "expiry_date": 1}\nA=1\n')

    assert found.stray_lines == (3,)
    assert found.values == {"QWEN_CLI_AUTH": '{"access_token": "x",', "A": "1"}


def test_names_that_are_set_twice_are_reported() -> None:
    found = parse_dev_vars("A=1\nB=1\nA=2\nA=3\n")

    assert found.repeated == ("A",)
    assert found.values["A"] == "3"


@pytest.mark.parametrize("line", ["A=ab#cd", "A=ab#cd # comment", 'A={"x": "y#z"}', "A=ab#cd\nA=ab"])
def test_values_that_are_cut_in_the_middle_of_a_word_are_reported(line: str) -> None:
    assert parse_dev_vars(line).cut == ("A",)


def test_what_needs_a_space_after_its_colon_is_reported() -> None:
    assert parse_dev_vars("A:yes").stray_lines == (1,)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"], ids=lambda name: name
)
def test_text_is_read_in_the_encodings_of_editors(encoding: str) -> None:
    assert decode_text("A=\u00fc\r\n".encode(encoding)) == "A=\u00fc\r\n"


def test_big_endian_text_with_its_mark_is_read() -> None:
    assert decode_text(b"\xfe\xff" + "A=1".encode("utf-16-be")) == "A=1"


@pytest.mark.parametrize("data", [b"A=\xff\xfe", b"\xff\xfeA", b"\xe9"])
def test_what_is_no_text_is_not_read(data: bytes) -> None:
    with pytest.raises(UnicodeError):
        decode_text(data)
