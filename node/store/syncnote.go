package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"tandem/shard"
)

const (
	syncNoteName  = "synced" // the file of the data folder that notes how far the log was synced
	syncNoteSlot  = 512      // bytes of a note; two take turns, so that one is whole whatever happens
	syncNoteBytes = 36       // start, number, log file and boot, 8 bytes each, and their CRC32C
)

// SyncNote notes that the log was synced up to a batch, and in which log file that lies, or one that is older than it
// by a second. The file stays in the folder or its archive until a later note names another one; an opening of the
// store, which moves all of the log into files, makes the note void.
type SyncNote struct {
	Head shard.BatchHead // without counts
	File uint64
	Boot uint64 // of the machine
}

// ThisBoot numbers the time since the machine was started; 0 where that cannot be told.
func ThisBoot() uint64 {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	return xxhash.Sum64(id)
}

// LogName is the name that RocksDB gives a log file.
func LogName(n uint64) string { return fmt.Sprintf("%06d.log", n) }

// LogFiles returns the numbers of the log files in a folder, in order. Error: of the file system.
func LogFiles(dir string) ([]uint64, error) {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	numbers := []uint64{}
	for _, f := range files {
		name, isLog := strings.CutSuffix(f.Name(), ".log")
		if n, bad := strconv.ParseUint(name, 10, 64); isLog && bad == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// appendSyncNote appends a note to b, as long as its slot.
func appendSyncNote(b []byte, p SyncNote) []byte {
	note := make([]byte, 0, syncNoteSlot)
	note = binary.BigEndian.AppendUint64(note, p.Head.Start)
	note = binary.BigEndian.AppendUint64(note, p.Head.Number)
	note = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(note, p.File), p.Boot)
	note = binary.BigEndian.AppendUint32(note, crc32.Checksum(note, castagnoli))
	return append(append(b, note...), make([]byte, syncNoteSlot-len(note))...)
}

// newestSyncNote returns the newest of the notes in a file, and none if no note in it is whole.
func newestSyncNote(file []byte) SyncNote {
	newest := SyncNote{}
	for ; len(file) >= syncNoteBytes; file = file[min(syncNoteSlot, len(file)):] {
		sum := binary.BigEndian.Uint32(file[32:])
		if crc32.Checksum(file[:32], castagnoli) != sum {
			continue
		}
		start, number := binary.BigEndian.Uint64(file), binary.BigEndian.Uint64(file[8:])
		if start > newest.Head.Start || start == newest.Head.Start && number > newest.Head.Number {
			newest = SyncNote{shard.BatchHead{Start: start, Number: number}, binary.BigEndian.Uint64(file[16:]),
				binary.BigEndian.Uint64(file[24:])}
		}
	}
	return newest
}

// ReadSyncNote returns what the folder notes of how far its log was synced; nothing if a note speaks of a log file that
// is in the archive, as its batches are in the store's files. Error: of the file system.
func ReadSyncNote(folder string) (SyncNote, error) {
	noted, err := os.ReadFile(filepath.Join(folder, syncNoteName))
	if err != nil {
		return SyncNote{}, err
	}
	p := newestSyncNote(noted)
	if _, err = os.Stat(filepath.Join(folder, "archive", LogName(p.File))); err == nil {
		p.Head = shard.BatchHead{}
	}
	return p, nil
}

// WriteSyncNote writes a note, synced, into one of its two slots, 0 or 1, of which whoever writes takes turns. Error:
// of the file system.
func WriteSyncNote(folder string, p SyncNote, turn int64) error {
	file, err := os.OpenFile(filepath.Join(folder, syncNoteName), os.O_CREATE|os.O_WRONLY|unix.O_DSYNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(appendSyncNote(nil, p), turn*syncNoteSlot)
	return errors.Join(err, file.Close())
}

// DropSyncNotes removes the notes of how far the log was synced. Error: of the file system.
func DropSyncNotes(folder string) error {
	err := os.Remove(filepath.Join(folder, syncNoteName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
