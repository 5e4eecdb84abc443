package docs

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// pointing are the Prep methods whose SQE points to something besides the bytes that
// are sent or received: a header, a vector, an address, a time.
var pointing = []string{
	"PrepSendMsg", "PrepSendMsgZC", "PrepRecvMsg", "PrepRecvMsgMultishot", "PrepConnect",
	"PrepSendTo", "SetSendAddr", "PrepReadv", "PrepWritev", "PrepTimeout",
	"PrepTimeoutUpdate", "PrepLinkTimeout", "PrepAccept", "PrepAcceptDirect",
	"PrepFilesUpdate",
}

// preparing are the files of the engine that fill in SQEs.
var preparing = []string{"prepare.go", "poll.go"}

// sqesPointToStagedMemory holds the engine to the rule of package uring: what an SQE
// points to is staged in memory of the ring, in the call that prepares it, and SQEs
// are prepared in one place. Without package unsafe there is no other pointer to be
// had than those and the operation's own slices, which its slot keeps reachable.
func sqesPointToStagedMemory(t *tree) []violation {
	var out []violation
	for _, s := range t.sources {
		if s.dir() != "loop/internal/iouring" || s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			if target(spec) == "unsafe" {
				out = append(out, s.at(spec, "the engine needs no unsafe: SQEs point to "+
					"what Ring.Stage* returns"))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if message := s.prepares(call); ok && message != "" {
				out = append(out, s.at(call, message))
			}
			return true
		})
	}
	return out
}

// prepares says what is wrong with a call of a Prep method.
func (s *source) prepares(call *ast.CallExpr) string {
	name := method(call)
	switch {
	case strings.HasPrefix(name, "Prep") && !slices.Contains(preparing, path.Base(s.path)):
		return name + " outside of " + strings.Join(preparing, " and ")
	case !slices.Contains(pointing, name):
		return ""
	}
	staged := slices.ContainsFunc(call.Args, func(arg ast.Expr) bool {
		inner, ok := arg.(*ast.CallExpr)
		return ok && strings.HasPrefix(method(inner), "Stage")
	})
	if !staged {
		return name + " of memory that is not staged in the same call"
	}
	return ""
}

// method is the name of a method that is called, "" if call is nil or of none.
func method(call *ast.CallExpr) string {
	if call == nil {
		return ""
	}
	if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
		return selector.Sel.Name
	}
	return ""
}

var ringFaults = []fault{
	{"SQEsPointToStagedMemory",
		importing("loop/internal/iouring/a.go", "io", "unsafe"), "loop/internal/iouring/a.go:3",
		importing("uring/a.go", "io", "unsafe")},
	{"SQEsPointToStagedMemory",
		inBody("loop/internal/iouring/prepare.go", "", "sqe.PrepSendMsg(1, &header, 0)"),
		"loop/internal/iouring/prepare.go:4",
		inBody("loop/internal/iouring/prepare.go", "",
			"sqe.PrepSendMsg(1, ring.StageMsg(bufs, 0, nil), 0)")},
	{"SQEsPointToStagedMemory",
		inBody("loop/internal/iouring/poll.go", "", "h := ring.StageVectors(b, 0)\n"+
			"sqe.PrepWritev(1, h, 0)"), "loop/internal/iouring/poll.go:5",
		inBody("loop/internal/iouring/poll.go", "",
			"sqe.PrepWritev(1, ring.StageVectors(b, 0), 0)")},
	{"SQEsPointToStagedMemory",
		inBody("loop/internal/iouring/turn.go", "", "sqe.PrepNop()"),
		"loop/internal/iouring/turn.go:4",
		inBody("loop/internal/iouring/turn_test.go", "", "sqe.PrepNop()")},
}
