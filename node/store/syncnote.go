package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"tandem/shard"
)

const (
	syncNoteName  = "synced-to" // the file of the data folder that notes how far the log was synced
	syncNoteSlot  = 512         // bytes of a note; two take turns, so that one is whole whatever happens
	syncNoteBytes = 36          // start, number, sequence and boot, 8 bytes each, and their CRC32C
)

// SyncNote notes that the log was synced up to a batch. Once a segment says that the tables have that batch, the note
// says nothing any more.
type SyncNote struct {
	Head     shard.BatchHead // without counts
	Sequence uint64
	Boot     uint64 // of the machine; 0: what was being written behind the batch may be garbled, as a write has failed
}

// LastSynced is the note of the last batch of a log that was not begun, or of which the last append has not failed.
func LastSynced(l Log, boot uint64) SyncNote {
	return SyncNote{shard.BatchHead{Start: l.written.start, Number: l.written.number}, l.sequence, boot}
}

// ThisBoot numbers the time since the machine was started; 0 where that cannot be told.
func ThisBoot() uint64 {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	return xxhash.Sum64(id)
}

// appendSyncNote appends a note to b, as long as its slot.
func appendSyncNote(b []byte, p SyncNote) []byte {
	note := make([]byte, 0, syncNoteSlot)
	note = binary.BigEndian.AppendUint64(note, p.Head.Start)
	note = binary.BigEndian.AppendUint64(note, p.Head.Number)
	note = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(note, p.Sequence), p.Boot)
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
		if start > newest.Head.Start || start == newest.Head.Start && number >= newest.Head.Number {
			newest = SyncNote{shard.BatchHead{Start: start, Number: number}, binary.BigEndian.Uint64(file[16:]),
				binary.BigEndian.Uint64(file[24:])}
		}
	}
	return newest
}

// ReadSyncNote returns what the folder notes of how far its log was synced. Error: of the file system.
func ReadSyncNote(folder string) (SyncNote, error) {
	noted, err := os.ReadFile(filepath.Join(folder, syncNoteName))
	return newestSyncNote(noted), err
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
