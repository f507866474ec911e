package cluster

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The kinds of file that a node has: segments of its log, and RocksDB's.
const (
	FileLog      = "log"
	FileTable    = "table"
	FileManifest = "manifest"
	FileCurrent  = "current"
	FileOptions  = "options"
)

// The parts of a table file.
const (
	partData   = "data"
	partFilter = "filter"
	partIndex  = "index"
	partFooter = "footer" // the handles of index and list of blocks
	partMagic  = "magic"  // format and magic number
)

// FileKind returns the kind of a file by its name, "" for others.
func FileKind(name string) string {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".wal") && base != "spare.wal" && base != "new.wal":
		return FileLog
	case strings.HasSuffix(base, ".sst"):
		return FileTable
	case strings.HasPrefix(base, "MANIFEST-"):
		return FileManifest
	case base == "CURRENT":
		return FileCurrent
	case strings.HasPrefix(base, "OPTIONS-"):
		return FileOptions
	}
	return ""
}

// StoredFile is a file of a data folder: its name within it and its size.
type StoredFile struct {
	Name string
	Size int64
}

// pickFile returns the file of a kind that a random number chooses. Of segments of the log it is the newest three times
// in four, which is the one that is written, else any. Of MANIFESTs and OPTIONS it is the
// newest, since the others are not in use.
func pickFile(files []StoredFile, kind string, chance uint64) (StoredFile, bool) {
	fit := slices.DeleteFunc(slices.Clone(files), func(f StoredFile) bool {
		return FileKind(f.Name) != kind ||
			f.Size == 0
	})
	if len(fit) == 0 {
		return StoredFile{}, false
	}
	slices.SortFunc(fit, func(a, b StoredFile) int { // names have numbers with leading zeros
		return cmp.Or(cmp.Compare(path.Base(a.Name), path.Base(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	if kind == FileTable || kind == FileLog && chance%4 == 0 {
		return fit[chance/4%uint64(len(fit))], true
	}
	return fit[len(fit)-1], true
}

// span is a part of a file.
type span struct{ From, To int64 }

// The end of a table file of format 5 (rocksdb/table/format.h): a checksum type, two handles of blocks (their offsets
// and sizes as varints) and padding, 41 bytes in all, then the format and a magic number.
const (
	footerBytes  = 53
	magicBytes   = 12 // of format and magic number
	tableMagic   = 0x88e241b785f4cff7
	blockTrailer = 5 // type and checksum, behind each block
	filterPrefix = "fullfilter."
)

// handleAt reads the handle of a block that ends before a place, and returns what follows it.
func handleAt(b []byte, before int64) (span, []byte, bool) {
	from, n := binary.Uvarint(b)
	size, m := binary.Uvarint(b[max(n, 0):])
	if n <= 0 || m <= 0 || from > uint64(before) || size > uint64(before)-from {
		return span{}, nil, false
	}
	return span{int64(from), int64(from + size)}, b[n+m:], true
}

// filterIn returns the handle of the filter's block in the block that lists such blocks: entries of the lengths of
// what the key shares with the one before and does not share and of the value, then these. nil: there is none.
func filterIn(list []byte) []byte {
	for len(list) > 0 {
		shared, a := binary.Uvarint(list)
		own, b := binary.Uvarint(list[max(a, 0):])
		value, c := binary.Uvarint(list[max(a, 0)+max(b, 0):])
		head := a + b + c
		if a <= 0 || b <= 0 || c <= 0 || shared > 0 || own > uint64(len(list)) || value > uint64(len(list)) ||
			own+value > uint64(len(list)-head) {
			return nil
		}
		key, rest := list[head:head+int(own)], list[head+int(own):]
		if bytes.HasPrefix(key, []byte(filterPrefix)) {
			return rest
		}
		list = rest[value:]
	}
	return nil
}

// tablePart returns where a part of a table file is.
func tablePart(file []byte, part string) (span, error) {
	size := int64(len(file))
	if size < footerBytes || binary.LittleEndian.Uint64(file[size-8:]) != tableMagic {
		return span{}, fmt.Errorf("%w: not a table file: %d bytes", ErrFault, size)
	}
	footer := span{size - footerBytes, size}
	listed, rest, ok := handleAt(file[footer.From+1:], footer.From-blockTrailer)
	index, padding, well := handleAt(rest, footer.From-blockTrailer)
	if !ok || !well {
		return span{}, fmt.Errorf("%w: a table file's footer cannot be read", ErrFault)
	}
	filter, _, found := handleAt(filterIn(file[listed.From:listed.To]), footer.From-blockTrailer)
	if !found {
		filter = span{min(listed.From, index.From), min(listed.From, index.From)}
	}
	switch {
	case part == partFooter:
		return span{footer.From, size - int64(len(padding))}, nil
	case part == partMagic:
		return span{size - magicBytes, size}, nil
	case part == partIndex:
		return span{index.From, index.To + blockTrailer}, nil
	case part == partFilter && found:
		return span{filter.From, filter.To + blockTrailer}, nil
	}
	return span{0, min(filter.From, index.From)}, nil
}

// pickBit returns a byte within a span and a bit of it, by a random number.
func pickBit(s span, chance uint64) (at int64, bit uint) {
	return s.From + int64((chance>>3)%uint64(max(1, s.To-s.From))), uint(chance & 7)
}

// cutTo returns how long a file is after a power loss: between what was synced and what was written, by a random
// number.
func cutTo(size int64, s Synced, chance uint64) int64 {
	if !s.Known || s.Bytes >= size {
		return size
	}
	return s.Bytes + int64(chance%uint64(size-s.Bytes+1))
}

// TableParts are the parts of a table file in which a bit is flipped. The list never changes.
var TableParts = []string{partData, partIndex, partFilter, partFooter, partMagic}
