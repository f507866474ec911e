package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden bytes instead of comparing with them")

// row matches one line of the frame table in doc.go: kind, name, crc, direction, fields. Columns are two spaces apart.
var row = regexp.MustCompile(`(?m)^//\t(\d+) {2,}(\w+) {2,}(crc|-) {2,}(\S+(?: \S+)*) {2,}(\S+(?: \S+)*)$`)

// names gives the kinds their names as the frame table has them.
func names(t *testing.T) []string {
	rows := row.FindAllStringSubmatch(source(t), -1)
	if len(rows) != int(kindEnd) {
		t.Fatalf("the frame table in doc.go has %d rows for %d kinds", len(rows), kindEnd)
	}
	var all []string
	for _, r := range rows {
		all = append(all, r[2])
	}
	return all
}

func source(t *testing.T) string {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFrameTableInDocAgreesWithLayouts(t *testing.T) {
	names(t)
	for i, r := range row.FindAllStringSubmatch(source(t), -1) {
		var want []string
		for _, f := range layouts[i] {
			want = append(want, f.name)
		}
		if r[1] != fmt.Sprint(i) || (r[3] == "crc") != carriesData[i] {
			t.Errorf("row %d says kind %s, checksum %q; the code has a checksum: %v", i, r[1], r[3], carriesData[i])
		}
		if got := strings.Fields(strings.TrimSuffix(r[5], "-")); !slices.Equal(got, want) {
			t.Errorf("row %d (%s) has the fields %q, the code has %q", i, r[2], got, want)
		}
	}
}

// TestLimitsInDoc holds the numbers that doc.go names to those in the code.
func TestLimitsInDoc(t *testing.T) {
	for _, want := range []string{
		fmt.Sprintf("MiB (%d)", MaxFrame), fmt.Sprintf("MaxDepth (%d)", MaxDepth),
		fmt.Sprintf("at most %d pairs, for a user", maxMatch), fmt.Sprintf("[shard shard …], at most %d\n", maxSet),
		fmt.Sprintf("[shard users shard users …], at most %d pairs\n", maxSet),
		fmt.Sprintf("[shard epoch shard epoch …], at most %d pairs\n", maxClaims),
		fmt.Sprintf("at most %d pairs: from which LSN", maxHistory), fmt.Sprintf("at most %d fours; insync", maxViews),
		fmt.Sprintf("at most %d fours: of each shard", maxLastEntries),
		fmt.Sprintf("at most %d: what the cluster was", maxFounders),
		fmt.Sprintf("at most %d\n", maxRecords), fmt.Sprintf("at most %d fours; wall", maxEntries),
	} {
		if !strings.Contains(source(t), want) {
			t.Errorf("doc.go does not say %q", want)
		}
	}
}

func TestExamplesInDocAreFrames(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^//\t(ce 00 00((\n//\t )? [0-9a-f]{2}){4,})$`).FindAllStringSubmatch(source(t), -1)
	var kinds []Kind
	for _, line := range lines {
		frame, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n//\t", "").Replace(line[1]))
		if err != nil {
			t.Fatal(err)
		}
		m, err := decoded(frame[HeadSize:])
		if err != nil {
			t.Fatalf("%s: %v", line[1], err)
		}
		if !bytes.Equal(NewCodec().AppendFrame(nil, m), frame) {
			t.Errorf("%s is not how kind %d is written", line[1], m.Kind)
		}
		kinds = append(kinds, m.Kind)
	}
	if !slices.Equal(kinds, []Kind{Get, Outcome, Hello, Ping}) {
		t.Errorf("the examples are of kinds %v", kinds)
	}
}

// TestGoldenBytes compares each kind's frame with the bytes in testdata/golden, a folder for each version: what one
// build writes, others read.
func TestGoldenBytes(t *testing.T) {
	all := names(t)
	for i, m := range samples() {
		path := filepath.Join("testdata", "golden", fmt.Sprintf("v%d", Most), fmt.Sprintf("%02d-%s.hex", i, all[i]))
		frame := NewCodec().AppendFrame(nil, m)
		if *update {
			if err := os.WriteFile(path, []byte(hex.Dump(frame)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.Dump(frame); got != string(want) {
			t.Errorf("%s: written as\n%swant\n%s", path, got, want)
		}
		got, err := decoded(frame[HeadSize:])
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: read as %+v, %v", path, got, err)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*", "*"))
	if err != nil || len(files) != int(kindEnd) {
		t.Errorf("%d golden files for %d kinds, %v", len(files), kindEnd, err)
	}
}
