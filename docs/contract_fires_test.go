package docs

import (
	"fmt"
	"strings"
	"testing"
)

// statement1 is the beginning of its row.
const statement1 = `| <a id="s1"></a>1 | M | It opens. | docs |`

// contractOf returns a document with these rows, the first on line 5.
func contractOf(rows ...string) string {
	return "## A. Life\n\nKept by: [a](../a/a.go) 1–2, 3\n\n" + strings.Join(rows, "\n") + "\n"
}

// showing1 is a tree in which a test shows statement 1, and the cell of its row.
// Names are put together, or this file would show statements itself.
func showing1() (files map[string]string, cell string) {
	name := "TestS0" + "01_ItOpens"
	return map[string]string{
		"a/a.go":      "package a\n",
		"a/a_test.go": "package a\nfunc " + name + "() {}\n",
	}, "[" + name + "](../a/a_test.go)"
}

func TestContractThatAgreesPasses(t *testing.T) {
	files, cell := showing1()
	files["a/b_test.go"] = "package a\n\n// statements: 3\nfunc TestOther() {}\n" // is no claim
	files["a/kit.go"] = "package atest\nvar cases = []string{\"S002_S0" + "03_both\"}\n"
	files["atest/kit.go"] = files["a/kit.go"]
	both := "[S002_S0" + "03_both](../atest/kit.go)"
	document := contractOf("| # | tag | x |", "| --- | --- | --- |",
		statement1+" "+cell+" |",
		`| <a id="s2"></a>2 | M | It opens. | docs | `+both+` |`,
		`| <a id="s3"></a>3 | M | It opens. | docs |  |`,
		`| <a id="s4"></a>4 | N | It opens. | docs | not shown: it is nothing |`,
		`| <a id="x1"></a>X1 | M | It opens. | docs | [1](#s1), [2](#s2) |`)
	repository := grow(files)
	document = readContract(document).updated(document, repository)
	if !strings.Contains(document, `<a id="s3"></a>3 | M | It opens. | docs | `+both+" |\n") {
		t.Error("the last column is not written:", document)
	}
	c := readContract(document)
	if len(c.statements) != 4 || len(c.divergences) != 1 || len(c.sections) != 1 {
		t.Fatalf("read %+v", c)
	}
	for _, v := range c.check(repository) {
		t.Error("fires without reason:", v)
	}
}

func TestContractFaultsFire(t *testing.T) {
	files, cell := showing1()
	good := statement1 + " " + cell + " |"
	for what, rows := range map[string][]string{
		"is shown by other tests": {statement1 + " [TestX](../a/a_test.go) |"},
		"has [Test":               {statement1 + " not shown: for no reason |"},
		"and no reason for none":  {good, strings.ReplaceAll(statement1, "1", "2") + " |"},
		"statement 3 has no test": {good,
			strings.ReplaceAll(statement1, "1", "3") + " not shown: |"},
		"does not begin with":      {good, `| <a id="s2"></a>3 | M | It opens. | docs | |`},
		"is no row":                {good, `| 2 | M | It opens. | docs | |`},
		"which no test shows":      {good, `| <a id="x1"></a>X1 | a | b | c | [2](#s2) |`},
		"is shown by statements":   {good, `| <a id="x1"></a>X1 | a | b | c | [1](#s2) |`},
		"statement 01 is no":       nil,
		"kept by a/b.go, which is": nil,
		"Life is kept by no file":  nil,
		"statement 1 is kept by":   nil,
		"B. Death: statement 1 is": nil,
	} {
		document := contractOf(rows...)
		switch {
		case strings.HasPrefix(what, "kept"):
			document = strings.ReplaceAll(contractOf(good), "a.go", "b.go")
		case strings.HasPrefix(what, "Life"):
			document = strings.ReplaceAll(contractOf(), "[a]", "a")
		case strings.HasPrefix(what, "statement 1 "):
			document = strings.Replace(contractOf(good), " 1–2,", " 2,", 1)
		case strings.HasPrefix(what, "B. Death"):
			document = contractOf(good) + "\n## B. Death\n\nKept by: [a](../a/a.go) 1\n"
		case rows == nil:
			document = contractOf(strings.ReplaceAll(good, "1", "01"))
			what = "has no plain number"
		}
		if got := readContract(document).check(grow(files)); len(got) != 1 ||
			!strings.Contains(got[0].message, what) {
			t.Errorf("%s: got %v", what, got)
		}
	}
	files["a/b_test.go"] = "package a\n\nfunc TestS9" + "99_There() {}\n"
	wantOne(t, readContract(contractOf(good)).check(grow(files)), "a/b_test.go:3")
}

func TestWhatAContractLacksIsFound(t *testing.T) {
	const last = 4
	row := func(n int, sentence string) string {
		return fmt.Sprintf(`| <a id="s%d"></a>%d | M | %s | docs |  |`, n, n, sentence)
	}
	all := []string{row(1, "a"), row(2, "b"), row(3, "c"), row(4, "d")}
	find := func(rows ...string) []violation {
		return incomplete(readContract(contractOf(rows...)).statements, last, "statement ")
	}
	if got := find(all...); got != nil {
		t.Error("fires without reason:", got)
	}
	wantOne(t, find(all[0], all[1], all[3]), contractDoc+":7")
	wantOne(t, find(all[0], all[1], all[1], all[2], all[3]), contractDoc+":7")
	wantOne(t, find(all[:3]...), contractDoc+":0")
	wantOne(t, find(all[0], all[1], row(3, ""), all[3]), contractDoc+":7")
	wantOne(t, find(append(all, row(5, "e"))...), contractDoc+":9")
	c := readContract(contractOf(strings.Replace(all[0], "M", "Q", 1)))
	if got := fmt.Sprint(c.lacks()); !strings.Contains(got, "has no tag") {
		t.Error("a tag that is none passes:", got)
	}
}

func TestLinksIntoTheContractAreChecked(t *testing.T) {
	files, cell := showing1()
	document := contractOf(statement1 + " " + cell + " |")
	files[contractDoc] = document
	files["docs/a.md"] = "see [1](contract.md#s1)\n"
	files["README.md"] = "see [1](docs/contract.md#s1), [b](docs/other.md#s2)\n"
	if got := readContract(document).badLinks(grow(files)); got != nil {
		t.Error("fires without reason:", got)
	}
	files["docs/a.md"] = "\nsee [1](contract.md#s2)\n"
	wantOne(t, readContract(document).badLinks(grow(files)), "docs/a.md:2")
	files["docs/a.md"] = "Statement 1 says so.\n"
	wantOne(t, readContract(document).badLinks(grow(files)), "docs/a.md:1")
}
