package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// flagRow is what a reader is told of a flag: its variable of the environment, if it has one, and its default.
type flagRow struct{ env, def string }

var (
	helpFlag    = regexp.MustCompile(`^ +(?:-h, )?--(\[no-\])?([a-z-]+)(?:=(.*?))?(?:  +|$)`)
	helpEnv     = regexp.MustCompile(`\(\$([A-Z_]+)\)`)
	helpCommand = regexp.MustCompile(`(?m)^  ([a-z]+) .*\[flags\]$`)
	inBackticks = regexp.MustCompile("`([^`]*)`")
)

// helpDefault returns the default that --help shows behind the equals sign of a flag, "" for a placeholder: texts are
// quoted, numbers and times begin with a digit, and lists end in an ellipsis.
func helpDefault(value string) string {
	list, isList := strings.CutSuffix(value, ",...")
	text, err := strconv.Unquote(value)
	switch {
	case err == nil:
		return text
	case isList && strings.ToUpper(list[:1]) != list[:1], value[0] >= '0' && value[0] <= '9':
		return list
	}
	return ""
}

// helpSettings reads the flags in what --help prints.
func helpSettings(help string) map[string]flagRow {
	all, last := map[string]flagRow{}, ""
	for line := range strings.Lines(help) {
		line = strings.TrimRight(line, "\n")
		if m := helpFlag.FindStringSubmatch(line); m != nil {
			last = "--" + m[2]
			def := "off"
			if m[3] != "" {
				def = helpDefault(m[3])
			} else if m[1] != "" {
				def = "on"
			}
			all[last] = flagRow{def: def}
		}
		if m := helpEnv.FindStringSubmatch(line); m != nil {
			all[last] = flagRow{m[1], all[last].def}
		}
	}
	return all
}

// pageSettings reads the tables of docs/settings.md, by the programs and commands that the heading above each names.
func pageSettings(t *testing.T) map[string]map[string]flagRow {
	page, err := os.ReadFile(filepath.Join("..", "docs", "settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	all, programs := map[string]map[string]flagRow{}, [][]string(nil)
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "## ") {
			programs = inBackticks.FindAllStringSubmatch(line, -1)
			continue
		}
		cells := strings.Split(line, "|")
		if !strings.HasPrefix(line, "| `--") || len(cells) != 7 {
			if strings.HasPrefix(line, "| `") {
				t.Errorf("a row of %d cells, expected 5: %s", len(cells)-2, line)
			}
			continue
		}
		flag, env, def := strings.Trim(cells[1], " `"), strings.Trim(cells[2], " `"), strings.Trim(cells[3], " `")
		for _, p := range programs {
			if all[p[1]] == nil {
				all[p[1]] = map[string]flagRow{}
			}
			if _, twice := all[p[1]][flag]; twice {
				t.Errorf("%s: %s has two rows", p[1], flag)
			}
			all[p[1]][flag] = flagRow{env, def}
		}
	}
	return all
}

// helpOf returns what a program prints when it is asked for help.
func helpOf(t *testing.T, program string) string {
	words := append(strings.Fields(program), "--help")
	out, err := exec.Command(filepath.Join(binaries, words[0]), words[1:]...).Output()
	if err != nil {
		t.Fatal(program, err)
	}
	return string(out)
}

// TestSettingsPage holds docs/settings.md to --help, both ways: every flag of every program and command has a row with
// its variable and its default, and every row has a flag.
func TestSettingsPage(t *testing.T) {
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	general := helpOf(t, "bench")
	programs := []string{"gateway", "node", "node accept-loss"}
	for _, m := range helpCommand.FindAllStringSubmatch(general, -1) {
		programs = append(programs, "bench "+m[1])
	}
	page := pageSettings(t)
	if got := slices.Sorted(maps.Keys(page)); !slices.Equal(got, slices.Sorted(slices.Values(programs))) {
		t.Errorf("the page has the programs %v, expected %v", got, programs)
	}
	for _, program := range programs {
		want := helpSettings(helpOf(t, program))
		for flag := range helpSettings(general) {
			if strings.HasPrefix(program, "bench ") { // those of all its commands
				delete(want, flag)
			}
		}
		if len(want) < 2 {
			t.Errorf("%s: the help was not understood: %v", program, want)
		}
		for flag, w := range want {
			if got, there := page[program][flag]; !there {
				t.Errorf("%s: %s has no row", program, flag)
			} else if got != w {
				t.Errorf("%s: %s is on the page as %+v, in the help as %+v", program, flag, got, w)
			}
		}
		for flag := range page[program] {
			if _, there := want[flag]; !there {
				t.Errorf("%s: %s has a row and is no flag", program, flag)
			}
		}
	}
}

// Help as kong prints it is understood: quoted texts, numbers, lists, switches and placeholders.
func TestHelpIsUnderstood(t *testing.T) {
	got := helpSettings("Flags:\n  -h, --help                 Show it.\n" +
		"      --listen=\"a:1\"         Address\n                             ($TANDEM_LISTEN).\n" +
		"      --nodes=db-0=host:port,…\n                             All ($TANDEM_NODES).\n" +
		"      --[no-]check           Check ($T_CHECK).\n      --kinds=kill,term,...\n" +
		"                             Kinds.\n      --sizes=3,5,...        Sizes.\n      --names=NAMES,...      Names.\n" +
		"      --wait=30s             Wait (default: long).\n      --fault='kill db-1 at 10s; …'\n")
	want := map[string]flagRow{"--help": {"", "off"}, "--listen": {"TANDEM_LISTEN", "a:1"},
		"--nodes": {"TANDEM_NODES", ""}, "--check": {"T_CHECK", "on"}, "--kinds": {"", "kill,term"},
		"--sizes": {"", "3,5"}, "--names": {"", ""}, "--wait": {"", "30s"}, "--fault": {"", ""}}
	if !maps.Equal(got, want) {
		t.Errorf("found %v", got)
	}
}
