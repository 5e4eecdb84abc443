package docs

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// entries are what the root of the repository has, besides dot files.
var entries = []string{
	"go.mod", "go.sum", "uring", "loop", "transport", "protocol", "subprocess", "bench",
	"examples", "docs", "README.md", "LICENSE", "SECURITY.md", "CHANGELOG.md",
	"staticcheck.conf",
}

func topLevel(t *tree) []violation {
	var out []violation
	for _, name := range t.top {
		if !strings.HasPrefix(name, ".") && !slices.Contains(entries, name) {
			out = append(out, violation{name, 0, "does not belong in the root of the repository"})
		}
	}
	return out
}

// A line of a document, and the language of the fenced block that it is in:
// "" outside of one, "text" in one that names none.
type line struct {
	number   int
	text     string
	language string
}

func linesOf(document string) []line {
	var out []line
	language, number := "", 0
	for text := range strings.Lines(document) {
		number++
		text = strings.TrimRight(text, "\r\n")
		if fence, ok := strings.CutPrefix(strings.TrimSpace(text), "```"); ok {
			if language != "" {
				language = ""
			} else if language = strings.TrimSpace(fence); language == "" {
				language = "text"
			}
			continue
		}
		out = append(out, line{number, text, language})
	}
	return out
}

// documents calls f for each line of each Markdown file, in order.
func (t *tree) documents(f func(name string, l line) string) []violation {
	var out []violation
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, l := range linesOf(t.texts[name]) {
			if message := f(name, l); message != "" {
				out = append(out, violation{name, l.number, message})
			}
		}
	}
	return out
}

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)>\s]+)`)
	reference  = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s+<?([^>\s]+)`)
	attribute  = regexp.MustCompile(`\b(?:src|href)="([^"]+)"`)
	scheme     = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:`)
)

func linksLead(t *tree) []violation {
	return t.documents(func(name string, l line) string {
		if l.language != "" {
			return ""
		}
		text := inlineCode.ReplaceAllString(l.text, "code")
		for _, pattern := range []*regexp.Regexp{inlineLink, reference, attribute} {
			for _, match := range pattern.FindAllStringSubmatch(text, -1) {
				if to := destination(name, match[1]); to != "" && !t.paths[to] {
					return "links to " + match[1] + ", which is not there"
				}
			}
		}
		return ""
	})
}

// destination returns the path that a link in the document called name leads
// to, or nothing if it leads out of the repository or to the document itself.
func destination(name, link string) string {
	link, _, _ = strings.Cut(link, "#")
	link, _, _ = strings.Cut(link, "?")
	if link == "" || scheme.MatchString(link) || strings.HasPrefix(link, "//") {
		return ""
	}
	if rooted, ok := strings.CutPrefix(link, "/"); ok {
		return path.Clean(rooted)
	}
	return path.Join(path.Dir(name), link)
}

// commandsNamePackages looks at what the README tells people to type.
func commandsNamePackages(t *tree) []violation {
	return t.documents(func(name string, l line) string {
		if name != "README.md" || l.language != "sh" {
			return ""
		}
		for _, dir := range packagesOf(l.text) {
			if !t.paths[dir] || !t.hasGo(dir) {
				return "names ./" + dir + ", which is no package"
			}
		}
		return ""
	})
}

// packagesOf returns the directories that a go run or go test command names.
func packagesOf(command string) []string {
	fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(command), "$ "))
	for len(fields) > 0 && strings.Contains(fields[0], "=") { // its environment
		fields = fields[1:]
	}
	if len(fields) < 3 || fields[0] != "go" || fields[1] != "run" && fields[1] != "test" {
		return nil
	}
	var dirs []string
	for _, field := range fields[2:] {
		if !strings.HasPrefix(field, "./") {
			continue
		}
		dirs = append(dirs, path.Clean(strings.TrimSuffix(field, "...")))
		if fields[1] == "run" { // the rest are the program's own arguments
			break
		}
	}
	return dirs
}

// hasGo reports whether there are Go files in dir or below it.
func (t *tree) hasGo(dir string) bool {
	return slices.ContainsFunc(t.sources, func(s *source) bool {
		return dir == "." || under(s.dir(), dir)
	})
}

// machinePath is a path of a machine that this was written on. It is split so
// that it does not find itself.
var machinePath = regexp.MustCompile(`(^|[\s"'` + "`" + `(<=:])/wo` + `rk/`)

func noMachinePaths(t *tree) []violation {
	var out []violation
	find := func(name, text string) {
		number := 0
		for line := range strings.Lines(text) {
			number++
			if machinePath.MatchString(line) {
				out = append(out, violation{name, number, "names a path of somebody's machine"})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		find(name, t.texts[name])
	}
	find("git log --format=%h %s%n%b", t.log)
	return out
}
