package cluster

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tandem/node/wal"
)

func TestFileKinds(t *testing.T) {
	for name, want := range map[string]string{"wal/0000000012.wal": FileLog, "wal/spare.wal": "", "wal/new.wal": "", "000007.log": "",
		"000008.sst": FileTable, "MANIFEST-000005": FileManifest, "CURRENT": FileCurrent,
		"OPTIONS-000041": FileOptions, "LOCK": "", "LOG": "", "000008.dbtmp": "", "OPTIONS": ""} {
		if got := FileKind(name); got != want {
			t.Errorf("%s is of kind %q, expected %q", name, got, want)
		}
	}
}

func TestPickFile(t *testing.T) {
	files := []StoredFile{{"MANIFEST-000005", 10}, {"wal/0000000012.wal", 100}, {"wal/0000000007.wal", 70},
		{"wal/0000000013.wal", 0},
		{"000003.sst", 5}, {"000009.sst", 5}, {"CURRENT", 16},
		{"MANIFEST-000011", 20}, {"LOCK", 0}}
	seen := map[string]int{}
	for _, kind := range []string{FileLog, FileTable, FileManifest, FileCurrent} {
		for chance := range uint64(64) {
			f, there := pickFile(files, kind, chance)
			if !there || FileKind(f.Name) != kind || f.Size == 0 {
				t.Fatalf("for %s by %d: %+v", kind, chance, f)
			}
			if again, _ := pickFile(files, kind, chance); again != f {
				t.Fatalf("the same number chooses %v and %v", f, again)
			}
			seen[f.Name]++
		}
	}
	if seen["wal/0000000012.wal"] < 48 || seen["wal/0000000007.wal"] == 0 || seen["000003.sst"] == 0 ||
		seen["000009.sst"] == 0 || seen["MANIFEST-000005"] > 0 {
		t.Errorf("chosen: %v", seen)
	}
	if f, there := pickFile(files, FileOptions, 1); there {
		t.Errorf("%+v, though there is none", f)
	}
}

// A table file as RocksDB 7.8 has written it: its parts are where they belong, and do not overlap.
func TestTableParts(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "table.sst"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]span{}
	for _, part := range TableParts {
		if parts[part], err = tablePart(file, part); err != nil || parts[part].From >= parts[part].To ||
			parts[part].To > int64(len(file)) {
			t.Fatalf("%s: %+v, %v", part, parts[part], err)
		}
	}
	size := int64(len(file))
	data, filter, index, footer, magic := parts[partData], parts[partFilter], parts[partIndex], parts[partFooter],
		parts[partMagic]
	if data.From != 0 || data.To > filter.From || filter.To > index.From || index.To > footer.From ||
		footer.From != size-53 || footer.To > magic.From || magic.To != size {
		t.Errorf("%d bytes: %+v", size, parts)
	}
	if end := file[data.To-blockTrailer:]; filter.From != data.To && !bytes.Contains(end, []byte("rocksdb")) {
		t.Errorf("between data and filter there is something: %+v", parts)
	}
	for _, bad := range [][]byte{nil, file[:20], file[:size-1], append(bytes.Clone(file[:size-1]), 0),
		append(append(bytes.Clone(file[:footer.From+1]), bytes.Repeat([]byte{0xff}, 40)...), file[magic.From:]...)} {
		if s, err := tablePart(bad, partIndex); !errors.Is(err, ErrFault) {
			t.Errorf("%d bytes that are no table: %+v, %v", len(bad), s, err)
		}
	}
}

// Where a part of a damaged table is, is refused or lies within the file, whatever the file says.
func TestPartsOfDamagedTables(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "table.sst"))
	if err != nil {
		t.Fatal(err)
	}
	end, refused := len(whole)-footerBytes, 0
	for seed := range uint64(30_000) {
		file, chance := bytes.Clone(whole), rand.New(rand.NewPCG(seed, 1))
		for range 1 + chance.IntN(8) { // most of them where the handles are
			from := []int{0, end - 200, end, end}[chance.IntN(4)]
			file[from+chance.IntN(len(file)-from)] = byte(chance.Uint32())
		}
		for _, part := range TableParts {
			s, err := tablePart(file, part)
			if err == nil && (s.From < 0 || s.To > int64(len(file)) || s.From > s.To) {
				t.Fatalf("seed %d: %s is %+v of %d bytes", seed, part, s, len(file))
			}
			if err != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("no table was damaged so that its parts could not be told")
	}
}

func TestPickBit(t *testing.T) {
	seen := map[[2]int64]bool{}
	for chance := range uint64(400) {
		at, bit := pickBit(span{10, 15}, chance)
		if at < 10 || at >= 15 || bit > 7 {
			t.Fatalf("bit %d of byte %d", bit, at)
		}
		seen[[2]int64{at, int64(bit)}] = true
	}
	if len(seen) != 40 {
		t.Errorf("%d of 40 bits", len(seen))
	}
}

// At the end of a log damage is like a torn write; where another batch follows it is not, and where none lies nothing
// is damaged.
func TestWhatMustBeMet(t *testing.T) {
	for _, c := range []struct {
		s    Step
		want bool
	}{
		{Step{File: FileOptions}, false},
		{Step{File: FileTable, Part: partFilter}, false},
		{Step{File: FileTable, Part: partIndex}, true},
		{Step{File: FileManifest}, true},
		{Step{File: FileCurrent}, true},
	} {
		if got := mustBeMet(c.s); got != c.want {
			t.Errorf("%+v", c)
		}
	}
	folder := t.TempDir()
	segment := wal.AppendHeader(nil, wal.Header{LogID: 5, Segment: 1, Flushed: 6, Blocks: 8})
	for sequence := uint64(7); sequence < 10; sequence++ {
		segment = wal.AppendBatch(segment, 5, 1, sequence, bytes.Repeat([]byte{1}, 5000))
	}
	segment = append(segment, make([]byte, wal.BlockSize)...)
	pieces, last := wal.Scan(segment, wal.Classify(segment, 5, 1, 0))
	for block, want := range []uint64{0, 7, 7, 8, 8, 9, 9, 0} {
		if got, must := batchAt(pieces, last, block); got != want || must != (got == 7 || got == 8) {
			t.Errorf("block %d is of batch %d, must be met: %v", block, got, must)
		}
	}
	path := filepath.Join(folder, "wal", "0000000001.wal")
	if err := errors.Join(os.Mkdir(filepath.Join(folder, "wal"), 0o755), os.WriteFile(path, segment, 0o644)); err != nil {
		t.Fatal(err)
	}
	inode, err := InodeOf(path)
	if err != nil {
		t.Fatal(err)
	}
	f := Flipped{Path: path, Inode: inode, At: 9, Is: segment[9], Sequence: 7}
	if got := FlippedFile(folder, f); got != path {
		t.Errorf("a bit of batch 7, up to 6 is in tables: %q", got)
	}
	if f.Sequence = 6; FlippedFile(folder, f) != "" {
		t.Error("a bit of a batch that is in tables is to be met")
	}
}
