package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readAll returns the texts of the files that match pattern.
func readAll(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// tabled returns a document with one table of these rows, the first on line 5.
func tabled(rows ...string) string {
	return "# Title\n\n| asyncio | ours | deviation |\n|---|---|---|\n" +
		strings.Join(rows, "\n") + "\n\nThe end.\n"
}

func TestComparisonFires(t *testing.T) {
	exists := func(name string) bool { return strings.HasPrefix(name, "loop.") }
	for name, c := range map[string]struct {
		rows []string
		want string // what the only violation says; "": there is none
	}{
		"good":           {[]string{"| `a` | `loop.A` | same |"}, ""},
		"good, two":      {[]string{"| `a`, `b` | `loop.A`, `loop.B` | differs |"}, ""},
		"good, not yet":  {[]string{"| `a` | not yet: `other.A` | later |"}, ""},
		"good, ours":     {[]string{"| none | `loop.A` | ours |"}, ""},
		"good, theirs":   {[]string{"| `a` | none | why |"}, ""},
		"unknown name":   {[]string{"| `a` | `other.A` | same |"}, "other.A is not there"},
		"second unknown": {[]string{"| `a` | `loop.A`, `other.A` | x |"}, "other.A is not there"},
		"not yet, there": {[]string{"| `a` | not yet: `loop.A` | x |"}, "loop.A is there by now"},
		"not yet, same":  {[]string{"| `a` | not yet: `other.A` | same |"}, `says "same" where`},
		"not yet, what":  {[]string{"| `a` | not yet: | later |"}, "without saying what"},
		"none, same":     {[]string{"| `a` | none | same |"}, `says "same" where`},
		"nothing":        {[]string{"| none | none | why |"}, "compares nothing"},
		"no deviation":   {[]string{"| `a` | `loop.A` | |"}, "says nothing"},
		"no name":        {[]string{"| a | `loop.A` | same |"}, "names nothing of asyncio's"},
		"no Go name":     {[]string{"| `a` | A | same |"}, "names nothing of ours"},
		"good, topic":    {[]string{"| `a` | none | not yet: streams |"}, ""},
		"good, contract": {[]string{"| `a` | `loop.A` | contract only, not yet: streams |"}, ""},
		"topic, there":   {[]string{"| `a` | none | not yet: UDP |"}, "UDP: loop.Loop.Create"},
		"no topic":       {[]string{"| `a` | none | not yet: love |"}, "love is no topic"},
		"vague":          {[]string{"| `a` | none | is not yet there |"}, "without saying what"},
		"only contract":  {[]string{"| `a` | `loop.A` | contract only |"}, "is a contract only"},
		"two cells":      {[]string{"| `a` | `loop.A` |"}, "has 2 cells"},
		"twice": {[]string{"| `a` | `loop.A` | x |", "| `a` | `loop.B` | x |"},
			"a has a row already"},
	} {
		t.Run(name, func(t *testing.T) {
			got := readComparison(tabled(c.rows...)).check(exists, nil, nil)
			if c.want == "" && len(got) == 0 {
				return
			}
			if c.want == "" || len(got) != 1 || !strings.Contains(got[0].message, c.want) ||
				got[0].line != 4+len(c.rows) {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}

func TestComparisonWantsARowForEachName(t *testing.T) {
	c := readComparison(tabled("| `a` | `loop.A` | same |"))
	all := func(string) bool { return true }
	if got := c.check(all, []string{"a"}, []string{"loop.A"}); got != nil {
		t.Error("fires without reason:", got)
	}
	for _, got := range [][]violation{
		c.check(all, []string{"a", "b"}, nil),
		c.check(all, nil, []string{"loop.A", "loop.B"}),
	} {
		if len(got) != 1 || !strings.HasSuffix(got[0].message, "has no row") {
			t.Errorf("got %v, want one name without a row", got)
		}
	}
}

func TestComparisonReadsItsOwnTablesOnly(t *testing.T) {
	c := readComparison("| other | x |\n|---|---|\n| `a` | b |\n\n" +
		"```text\n| asyncio | ours | deviation |\n|---|---|---|\n| `a` | `b` | c |\n```\n" +
		"| number | x |\n|---|---|\n| X1 | b |\n")
	if len(c.rows) != 0 || !slices.Equal(c.numbers(), []string{"X1"}) {
		t.Errorf("got %+v", c)
	}
}

func TestTopicsThatAreThereFire(t *testing.T) {
	const table = "| topic | what |\n|---|---|\n| UDP | datagrams |\n| love | none |\n"
	got := readComparison(table).check(func(string) bool { return true }, nil, nil)
	if len(got) != 2 || got[0].line != 3 || got[1].line != 4 {
		t.Errorf("got %v, want one on line 3, of what is there, and one on line 4", got)
	}
	none := func(string) bool { return false }
	if got := readComparison(table).check(none, nil, nil); len(got) != 1 || got[0].line != 4 {
		t.Errorf("got %v, want one on line 4", got)
	}
}

func TestDeviationWithoutARowFires(t *testing.T) {
	const text = "| number | asyncio | here |\n|---|---|---|\n"
	scenario := `[{"id": "x", "deviation": {"number": "82", "why": "y"}}, ` +
		`{"id": "z", "deviation": {"number": "X3", "why": "y"}}]`
	c := readComparison(text)
	if got := c.undocumented(nil, scenario); !slices.Equal(got, []string{"82", "X3"}) {
		t.Errorf("got %v, want the scenario's 82 and X3", got)
	}
	c = readComparison(text + "| [82](contract.md#s82) | does | does not |\n")
	if got := c.undocumented([]contractRow{{id: 3}}, scenario); len(got) != 0 {
		t.Error("fires without reason:", got)
	}
	all := func(string) bool { return true }
	late := readComparison(text + "| 82 | does | not yet: TLS |\n")
	if got := late.check(all, nil, nil); len(got) != 1 || got[0].line != 3 {
		t.Errorf("got %v, want one on line 3", got)
	}
}
