//go:build planted

package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	plantedShort = flag.Bool("planted.short", false, "only the bugs that are caught within a second or two")
	plantedOnly  = flag.String("planted.only", "", "only the bugs whose name matches")
	plantedFrom  = flag.Uint64("planted.from", 0, "the seed from which the simulator looks for a bug")
	plantedFor   = flag.Duration("planted.for", 40*time.Second, "how long the simulator may look for a bug")
)

// edit replaces a text, which a file must have exactly once.
type edit struct{ file, old, new string }

// planted is a bug, and the rule of docs/protocol.md that it breaks.
type planted struct {
	rule, name string
	seed       int64  // one that has shown it, tried first; 0 if any will do. Every change of the simulator may make it void
	single     bool   // it shows in runs of a single fault, as a request that is not answered in time
	slow       bool   // it takes the simulator more than a second or two
	unreached  string // why the simulator cannot show it, "" if it can
	edits      []edit
}

var plantedFailure = regexp.MustCompile(`(?m)seed (\d+) at ([\d.]+) ms: (.*)$`)

// TestPlanted plants one bug after another in a copy of the sources, and has the simulator run until it fails. A bug
// that is not caught, that does not compile, or that only makes the process panic, fails the test.
func TestPlanted(t *testing.T) {
	for _, bug := range plantedBugs {
		if *plantedShort && bug.slow || bug.unreached != "" || !strings.Contains(bug.rule+" "+bug.name, *plantedOnly) {
			continue
		}
		t.Run(bug.rule+" "+bug.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			output := hunt(t, bug)
			found := plantedFailure.FindStringSubmatch(output)
			switch {
			case strings.Contains(output, "panic:"):
				t.Errorf("the process panics, which does not count:\n%.2000s", output)
			case found == nil:
				t.Errorf("not caught: %s %s\n%.300s", bug.rule, bug.name, output)
			default:
				t.Logf("caught after %.1f s by seed %s: %s %s: %.120s", time.Since(began).Seconds(), found[1], bug.rule,
					bug.name, found[3])
			}
		})
	}
}

// Each edit finds its text, exactly once.
func TestPlantedTexts(t *testing.T) {
	for _, bug := range plantedBugs {
		texts := map[string]string{}
		for _, e := range bug.edits {
			if texts[e.file] == "" {
				text, _ := os.ReadFile(e.file)
				texts[e.file] = string(text)
			}
			if n := strings.Count(texts[e.file], e.old); n != 1 {
				t.Errorf("%s %s: %s has the text %d times: %s", bug.rule, bug.name, e.file, n, e.old)
			}
			texts[e.file] = strings.Replace(texts[e.file], e.old, e.new, 1)
		}
	}
}

// hunt builds the simulator with a bug, runs it, and returns what it printed.
func hunt(t *testing.T, bug planted) string {
	t.Helper()
	overlay, binary := map[string]string{}, filepath.Join(t.TempDir(), "sim.test")
	for _, e := range bug.edits {
		path, _ := filepath.Abs(e.file)
		from := path
		if overlay[path] != "" {
			from = overlay[path]
		}
		text, err := os.ReadFile(from)
		if err != nil || strings.Count(string(text), e.old) != 1 {
			t.Fatalf("%s has the text to replace %d times: %s (%v)", e.file, strings.Count(string(text), e.old), e.old, err)
		}
		overlay[path] = filepath.Join(t.TempDir(), filepath.Base(e.file))
		if err := os.WriteFile(overlay[path], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := json.Marshal(map[string]any{"Replace": overlay})
	config := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(config, list, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay="+config, "-o", binary,
		".").CombinedOutput(); err != nil {
		t.Fatalf("does not compile: %s", out)
	}
	run := func(seeds ...string) string {
		out, _ := exec.Command(binary, append([]string{"-test.run=^TestSimMany$", "-test.v", "-sim.failures=1"},
			seeds...)...).CombinedOutput()
		return string(out)
	}
	if bug.seed > 0 {
		if out := run("-sim.seeds=1", fmt.Sprint("-sim.from=", bug.seed)); strings.Contains(out, "FAIL") {
			return out
		}
	}
	kind := "-sim.many"
	if bug.single {
		kind = "-sim.single"
	}
	return run("-sim.seeds=1000000", kind, fmt.Sprint("-sim.from=", *plantedFrom),
		fmt.Sprint("-sim.seconds=", plantedFor.Seconds()))
}

// The sources as they are pass the seeds that show planted bugs.
func TestPlantedSeeds(t *testing.T) {
	for _, bug := range plantedBugs {
		if w := runSim(uint64(bug.seed), nil, -1); w.failure != "" {
			t.Errorf("seed %d fails without a bug: %s", bug.seed, w.failure)
		}
	}
}

// plantedOnPage returns the bugs that a page lists under its rules' headings, as lines "rule | name | why it is not
// shown", the latter "" if it is; and the headings of rules, each as often as the page has it. A list of bugs begins
// after the line plantedMark and ends with the first line that neither begins a bug nor goes on with one.
func plantedOnPage(page string) (bugs []string, headings map[string]int) {
	const plantedMark = "*Planted bugs:*"
	rule, listed, headings := "", false, map[string]int{}
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		head, begins := strings.CutPrefix(line, "### ")
		name, item := strings.CutPrefix(line, "- ")
		more, goesOn := strings.CutPrefix(line, "  ")
		switch {
		case begins:
			rule, _, _ = strings.Cut(head, ":")
			listed = false
			headings[rule]++
		case line == plantedMark:
			listed = true
		case listed && item:
			bugs = append(bugs, rule+" | "+name)
		case listed && goesOn && len(bugs) > 0:
			bugs[len(bugs)-1] += " " + more
		case line != "":
			listed = false
		}
	}
	for i, bug := range bugs {
		name, why, _ := strings.Cut(bug, ". *Not shown:* ")
		bugs[i] = name + " | " + why
	}
	return bugs, headings
}

// The page on the protocol lists every bug under the heading of its rule, once, and no other; with each that the
// simulator cannot show it says why.
func TestPlantedPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	listed, headings := plantedOnPage(string(page))
	expected, found := map[string]int{}, map[string]int{} // by bug: how often
	for _, bug := range plantedBugs {
		expected[fmt.Sprintf("%s | %s | %s", bug.rule, bug.name, bug.unreached)]++
		headings[bug.rule] += 0
	}
	for _, bug := range listed {
		found[bug]++
		expected[bug] += 0
	}
	for bug, n := range expected {
		if n != 1 || found[bug] != 1 {
			t.Errorf("docs/protocol.md lists a bug %d times, and the simulator has it %d times: %s", found[bug], n, bug)
		}
	}
	for rule, n := range headings {
		if n != 1 {
			t.Errorf("docs/protocol.md has %d headings %s, expected one", n, rule)
		}
	}
	if len(listed) == 0 || len(listed) != len(plantedBugs) {
		t.Errorf("docs/protocol.md lists %d bugs, expected %d", len(listed), len(plantedBugs))
	}
}
