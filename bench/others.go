package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/outside"
	"github.com/sluice-net/sluice/bench/internal/rounds"
)

// An other is another build of this benchmark. Its servers take part beside those of
// this one.
type other struct{ name, program string }

// ownEngines are the contestants that another build has and that change with the
// library.
var ownEngines = []string{"uring", "epoll"}

var otherName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

// addOther reads NAME=PROGRAM.
func (c *config) addOther(text string) error {
	name, program, ok := strings.Cut(text, "=")
	if !ok || !otherName.MatchString(name) || name == "again" {
		return errors.New("must be NAME=PROGRAM, the name of small letters, digits, " +
			"points and hyphens")
	}
	if slices.ContainsFunc(c.others, func(o other) bool { return o.name == name }) {
		return fmt.Errorf("%s is there twice", name)
	}
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	switch info, err := os.Stat(program); {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is no program: make one by go build -o %s ./bench",
			program, program)
	}
	c.others = append(c.others, other{name, program})
	return nil
}

// isOther reports whether a contestant, by its key, is another build's.
func (c *config) isOther(key string) bool {
	return slices.ContainsFunc(c.others, func(o other) bool {
		return slices.ContainsFunc(ownEngines, func(engine string) bool {
			return key == o.key(engine)
		})
	})
}

// key is that of the other build's server on an engine.
func (o other) key(engine string) string { return engine + "-" + o.name }

// withOthers puts the other builds' servers behind those that they are compared with.
func withOthers(contestants []rounds.Contestant, others []other) []rounds.Contestant {
	out := slices.Clone(contestants)
	for _, c := range contestants {
		if c.Program != "" || c.Key != c.Server || !slices.Contains(ownEngines, c.Server) {
			continue
		}
		for _, o := range others {
			out = append(out, rounds.Contestant{Key: o.key(c.Key),
				Label: c.Label + ", " + o.name, Server: c.Server, Program: o.program})
		}
	}
	return out
}

// pairs are whose CPU time is compared beside that of the base: the library's two
// engines, each of them with the servers in C, and with itself in another build.
func pairs(contestants []rounds.Contestant) (out [][2]string) {
	out = append(out, [2]string{ownEngines[0], ownEngines[1]})
	for _, engine := range ownEngines {
		for _, c := range []outside.C{outside.CEpoll, outside.CUring} {
			out = append(out, [2]string{engine, c.Name()})
		}
	}
	for _, c := range contestants {
		if c.Program != "" && slices.Contains(ownEngines, c.Server) {
			out = append(out, [2]string{c.Server, c.Key})
		}
	}
	return out
}
