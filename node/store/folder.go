package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrUnreadable is the class of a data folder of which nothing can be read.
var ErrUnreadable = errors.New("nothing in the data folder can be read")

// asidePrefix begins the name of the folder, within the data folder, to which what cannot be used any more is moved.
const asidePrefix = "set-aside-"

// storeFiles are the beginnings and ends of the names of a database's own files. Where one of them is there, no new
// database is made.
var storeFiles = [...]string{"CURRENT", "MANIFEST-", "IDENTITY", "OPTIONS-", ".sst", ".log", logFolder}

// HoldsStore tells from the names in a folder whether there is, or was, a database in it.
func HoldsStore(names []string) bool {
	for _, name := range names {
		for _, mark := range storeFiles {
			if strings.HasPrefix(name, mark) || strings.HasSuffix(name, mark) {
				return true
			}
		}
	}
	return false
}

// NamesIn returns the names in a folder. Error: of the file system.
func NamesIn(folder string) ([]string, error) {
	files, err := os.ReadDir(folder)
	names := []string{}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names, err
}

// NameManifest writes CURRENT anew if it names no manifest that is there, and there is only one. It tells whether it
// has done so.
func NameManifest(folder string, names []string) bool {
	path := filepath.Join(folder, "CURRENT")
	text, err := os.ReadFile(path)
	isOther := func(n string) bool { return !strings.HasPrefix(n, "MANIFEST-") }
	manifests := slices.DeleteFunc(slices.Clone(names), isOther)
	unread := err != nil && !errors.Is(err, os.ErrNotExist)
	if len(manifests) != 1 || unread || err == nil && string(text) == manifests[0]+"\n" {
		return false
	}
	err = WriteWhole(path, []byte(manifests[0]+"\n"))
	return err == nil && SyncFolder(folder) == nil
}

// ErrOldCopy is the class of a store that was put back to an older state: other processes may have promised in its name
// what is not in it.
var ErrOldCopy = errors.New("the store is an old copy of itself")

// VoidName is the file of the data folder that says why its store may not be used any more. The next start sets the
// store aside, this file with it.
const VoidName = "void.txt"

// MarkVoid notes, synced, why the store in a folder may not be used any more.
func MarkVoid(folder string, why error) error {
	err := errors.Join(WriteWhole(filepath.Join(folder, VoidName), []byte(why.Error())), SyncFolder(folder))
	if err != nil {
		return fmt.Errorf("cannot note that the store may not be used any more: %w", err)
	}
	return nil
}

// mostAside is how many stores that could not be used are kept. With so many of them it is the disk that should be
// looked at.
const mostAside = 3

// SetAside moves all that is in a data folder into a folder within it, so that a new store can begin there, and returns
// that folder's name. Nothing is deleted: it may be the only copy of something. Errors: ErrUnreadable when too many are
// there already, or of the file system.
func SetAside(folder string, now time.Time) (string, error) {
	names, err := NamesIn(folder)
	if err != nil {
		return "", err
	}
	isAside := func(name string) bool { return strings.HasPrefix(name, asidePrefix) }
	rest := slices.DeleteFunc(slices.Clone(names), isAside)
	if len(names)-len(rest) >= mostAside {
		return "", fmt.Errorf("%w, and %d stores were set aside in it before (%s…): look at the disk, keep what you "+
			"need of them elsewhere, and remove them",
			ErrUnreadable, mostAside, asidePrefix)
	}
	aside := filepath.Join(folder, asidePrefix+now.UTC().Format("20060102T150405.000Z"))
	if err = os.Mkdir(aside, 0o755); err != nil {
		return "", err
	}
	for _, name := range rest {
		if name == "lost+found" { // the file system's own
			continue
		}
		if err = os.Rename(filepath.Join(folder, name), filepath.Join(aside, name)); err != nil {
			return "", err
		}
	}
	return aside, SyncFolder(folder)
}
