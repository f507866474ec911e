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

// plantedTables returns the rows of the two tables of planted bugs in a page: of those that the simulator shows, and of
// those that it does not. Heads and rules of the tables are no rows.
func plantedTables(page string) (shown, unreached []string) {
	_, section, _ := strings.Cut(page, "\n## Planted bugs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	into := &shown
	for line := range strings.Lines(section) {
		switch line = strings.TrimSpace(line); {
		case line == "| rule | bug | why it cannot show |":
			into = &unreached
		case strings.HasPrefix(line, "|") && line != "| rule | bug |" && !strings.HasPrefix(line, "| ---"):
			*into = append(*into, line)
		}
	}
	return shown, unreached
}

// The page on the protocol has every bug in the right table, once, and no other.
func TestPlantedPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	due := map[string]int{} // by table and row: how often it is still to be met
	for _, bug := range plantedBugs {
		row := fmt.Sprintf("first | %s | %s |", bug.rule, bug.name)
		if bug.unreached != "" {
			row = fmt.Sprintf("second | %s | %s | %s |", bug.rule, bug.name, bug.unreached)
		}
		due[row]++
	}
	shown, unreached := plantedTables(string(page))
	for _, row := range shown {
		due["first "+row]--
	}
	for _, row := range unreached {
		due["second "+row]--
	}
	for row, n := range due {
		if n != 0 {
			t.Errorf("docs/protocol.md has a row %d times too few: %s", n, row)
		}
	}
	if len(shown)+len(unreached) != len(plantedBugs) || len(shown) == 0 || len(unreached) == 0 {
		t.Errorf("%d and %d rows for %d bugs", len(shown), len(unreached), len(plantedBugs))
	}
}
