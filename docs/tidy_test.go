// Package docs checks that the sources are as the documents say: it reads them
// and fails where one breaks a rule. There is nothing else in the package.
//
// A rule is a pure function from a tree of sources to what violates it. The
// table in tidy_fires_test.go feeds each of them sources that break it.
package docs

import (
	"fmt"
	"testing"
)

// module is the path of this module.
const module = "github.com/sluice-net/sluice"

// A violation is a place that breaks a rule. Line 0 means the whole file.
type violation struct {
	file    string
	line    int
	message string
}

func (v violation) String() string {
	return fmt.Sprintf("%s:%d: %s", v.file, v.line, v.message)
}

// A rule is one statement about the tree.
type rule struct {
	name  string
	check func(t *tree) []violation
}

var rules = []rule{
	{"SourcesParse", sourcesParse},

	// What may import what.
	{"ContractsAreLeaves", contractsAreLeaves},
	{"KernelIsImportedBelow", kernelIsImportedBelow},
	{"NoRawSystemCalls", noRawSystemCalls},
	{"EnginesStayBehindTheContract", enginesStayBehindTheContract},
	{"OneFileChoosesTheEngine", oneFileChoosesTheEngine},
	{"NothingImportsObservers", nothingImportsObservers},
	{"LibraryImportsNoTestKit", libraryImportsNoTestKit},
	{"OnlyTestsImportTheRig", onlyTestsImportTheRig},
	{"LoopDependsOnTwoModules", loopDependsOnTwoModules},

	// What the kernel is pointed at.
	{"SQEsPointToStagedMemory", sqesPointToStagedMemory},

	// What is deterministic.
	{"NoWallClock", noWallClock},
	{"NoGlobalRandom", noGlobalRandom},
	{"NoSelect", noSelect},
	{"NoGoroutine", noGoroutine},
	{"NoMapIteration", noMapIteration},

	// Style.
	{"FunctionLength", functionLength},
	{"LineLength", lineLength},
	{"FileLength", fileLength},
	{"DocComments", docComments},
	{"PackageComments", packageComments},
	{"NothingUnfinished", nothingUnfinished},
	{"PackageNames", packageNames},
	{"NoBuiltinIsShadowed", builtinsShadowed},
	{"TestNames", testNames},
	{"NoSleepInTests", noSleepInTests},
	{"SkipsNameWhatIsMissing", skipsNameWhatIsMissing},

	// The repository and its documents.
	{"TopLevel", topLevel},
	{"LinksLead", linksLead},
	{"CommandsNamePackages", commandsNamePackages},
	{"NoMachinePaths", noMachinePaths},
}

func TestTidy(t *testing.T) {
	repository := load(t, "..")
	if len(repository.sources) == 0 {
		t.Fatal("found no Go sources above this directory")
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, v := range r.check(repository) {
				t.Error(v)
			}
		})
	}
}
