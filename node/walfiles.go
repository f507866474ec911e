package main

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
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"tandem/shard"
)

const (
	promiseName  = "synced" // the file of the data folder that notes how far the log was synced
	promiseSlot  = 512      // bytes of a note; two take turns, so that one is whole whatever happens
	promiseBytes = 36       // start, number, log file and boot, 8 bytes each, and their CRC32C
	promiseEvery = time.Second
)

// promise notes that the log was synced up to a batch, and in which log file that lies, or one that is older than it by
// a second. The file stays in the folder or its archive until a later note names another one; an opening of the store,
// which moves all of the log into files, makes the note void.
type promise struct {
	head shard.BatchHead // without counts
	file uint64
	boot uint64 // of the machine
}

// thisBoot numbers the time since the machine was started; 0 where that cannot be told.
func thisBoot() uint64 {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	return xxhash.Sum64(id)
}

// logName is the name that RocksDB gives a log file.
func logName(n uint64) string { return fmt.Sprintf("%06d.log", n) }

// logFiles returns the numbers of the log files in a folder, in order. Error: of the file system.
func logFiles(dir string) ([]uint64, error) {
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

// judgeLog reads the log files of the data folder and says how the log ends. Error: of the file system.
func judgeLog(s starting) starting {
	folder := s.room.Config.Data
	numbers, err := logFiles(folder)
	pieces, file := []shard.LogPiece{}, []byte(nil)
	for _, n := range numbers {
		if err == nil {
			file, err = os.ReadFile(filepath.Join(folder, logName(n)))
		}
		records := scanLog(file)
		pieces = append(pieces, piecesOf(records)...)
	}
	noted := []byte(nil)
	if err == nil {
		noted, err = os.ReadFile(filepath.Join(folder, promiseName))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.err = err
		return s
	}
	p := readPromise(noted)
	// its batches are in the store's files
	if _, err = os.Stat(filepath.Join(folder, "archive", logName(p.file))); err == nil {
		p.head = shard.BatchHead{}
	}
	boot := thisBoot()
	s.verdict = shard.JudgeLog(pieces, s.held, shard.LogKnown{Synced: p.head, SameBoot: p.boot == boot && boot != 0})
	return s
}

// voidPromise removes the note of how far the log was synced: the opening has moved all of the log into files. Error:
// of the file system.
func voidPromise(s starting) starting {
	s.err = os.Remove(filepath.Join(s.room.Config.Data, promiseName))
	if errors.Is(s.err, fs.ErrNotExist) {
		s.err = nil
	}
	return s
}

// readPromise returns the newest of the notes in a file, and none if no note in it is whole.
func readPromise(file []byte) promise {
	newest := promise{}
	for ; len(file) >= promiseBytes; file = file[min(promiseSlot, len(file)):] {
		sum := binary.BigEndian.Uint32(file[32:])
		if crc32.Checksum(file[:32], castagnoli) != sum {
			continue
		}
		start, number := binary.BigEndian.Uint64(file), binary.BigEndian.Uint64(file[8:])
		if start > newest.head.Start || start == newest.head.Start && number > newest.head.Number {
			newest = promise{shard.BatchHead{Start: start, Number: number}, binary.BigEndian.Uint64(file[16:]),
				binary.BigEndian.Uint64(file[24:])}
		}
	}
	return newest
}

// appendPromise appends a note to b, as long as its slot.
func appendPromise(b []byte, p promise) []byte {
	note := make([]byte, 0, promiseSlot)
	note = binary.BigEndian.AppendUint64(note, p.head.Start)
	note = binary.BigEndian.AppendUint64(note, p.head.Number)
	note = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(note, p.file), p.boot)
	note = binary.BigEndian.AppendUint32(note, crc32.Checksum(note, castagnoli))
	return append(append(b, note...), make([]byte, promiseSlot-len(note))...)
}

// runPromise is the loop that notes once a second how far the log has been synced, so that a log that has lost its end
// is known for what it is. A note that cannot be written is no harm by itself, and comes again.
func runPromise(room *Room) {
	path := filepath.Join(room.Config.Data, promiseName)
	ticks := time.NewTicker(promiseEvery)
	noted, turn, boot := shard.BatchHead{}, int64(0), thisBoot()
	before, _ := logFiles(room.Config.Data) // else the first tick notes nothing
	for range ticks.C {
		// What was synced since the tick before lies in what was the newest file then, or in a later one. The newest
		// now may be empty: RocksDB begins one by itself when there was no space for the one before, and has brought
		// that to tables.
		now, err := logFiles(room.Config.Data)
		numbers := before
		before = now
		head := shard.BatchHead{}
		select {
		case head = <-room.Synced:
		default:
		}
		same := head.Start == noted.Start && head.Number == noted.Number
		if err != nil || head.Number == 0 || len(numbers) == 0 || same {
			continue
		}
		note := appendPromise(nil, promise{head, numbers[len(numbers)-1], boot})
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|unix.O_DSYNC, 0o644)
		if err != nil {
			continue
		}
		_, err = file.WriteAt(note, turn*promiseSlot)
		if err = errors.Join(err, file.Close()); err == nil {
			noted, turn = head, 1-turn
		}
	}
}
