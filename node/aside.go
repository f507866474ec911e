package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrOldCopy is the class of a store that was put back to an older state: other processes may have promised in its name
// what is not in it.
var ErrOldCopy = errors.New("the store is an old copy of itself")

// voidName is the file of the data folder that says why its store may not be used any more. The next start sets the
// store aside, this file with it.
const voidName = "void.txt"

// markVoid notes, synced, why the store in a folder may not be used any more.
func markVoid(folder string, why error) error {
	err := errors.Join(writeWhole(filepath.Join(folder, voidName), []byte(why.Error())), syncFolder(folder))
	if err != nil {
		return fmt.Errorf("cannot note that the store may not be used any more: %w", err)
	}
	return nil
}

// refuseVoid refuses a store that is marked so. Error: ErrUnreadable.
func refuseVoid(s starting) starting {
	why, err := os.ReadFile(filepath.Join(s.room.Config.Data, voidName))
	switch {
	case err == nil:
		s.err = fmt.Errorf("%w: %s", ErrUnreadable, why)
	case !errors.Is(err, fs.ErrNotExist):
		s.err = err
	}
	return s
}
