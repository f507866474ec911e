package store

import (
	"fmt"
	"slices"
	"testing"

	"tandem/shard"
)

// Of two notes how far the log was synced the newest that is whole counts, whatever became of the other one.
func TestTheNoteOfTheLogSurvivesATornWrite(t *testing.T) {
	older := SyncNote{shard.BatchHead{Start: 3, Number: 70}, 12, 99}
	newer := SyncNote{shard.BatchHead{Start: 3, Number: 71}, 13, 99}
	file := appendSyncNote(appendSyncNote(nil, newer), older)
	if got := newestSyncNote(file); fmt.Sprint(got) != fmt.Sprint(newer) {
		t.Errorf("%+v", got)
	}
	for at := range syncNoteBytes {
		torn := slices.Clone(file)
		torn[at] ^= 1
		if got := newestSyncNote(torn); fmt.Sprint(got) != fmt.Sprint(older) {
			t.Errorf("byte %d is torn: %+v", at, got)
		}
	}
	if got := newestSyncNote(file[:20]); got.Head.Number != 0 {
		t.Errorf("a short file: %+v", got)
	}
	if got := newestSyncNote(nil); got.Head.Number != 0 {
		t.Errorf("no file: %+v", got)
	}
}
