package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	outdatedName = "outdated.json" // the file of the data folder that says that its store may not be used any more
	asidePrefix  = "set-aside-"    // of the folder, within it, that such a store is moved to
)

// outdated is what that file says: why, and the name of the folder within the data folder to which the store is moved.
type outdated struct {
	Why  string `json:"why"`
	Into string `json:"into"`
}

// markOutdated notes, synced, that the store in a folder may not be used any more. The next start moves it aside.
func markOutdated(folder, why string, now time.Time) error {
	text, err := json.Marshal(outdated{why, asidePrefix + now.UTC().Format("20060102-150405")})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(folder, outdatedName+".new"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(filepath.Join(folder, outdatedName+".new"), filepath.Join(folder, outdatedName))
	}
	return err
}

// moveAside moves what is in a folder that is marked into the folder that the mark names, and removes the mark, so that a new store begins there. Nothing is
// deleted but what was set aside at an earlier time: one such folder is kept. Broken off, it is done by the next start. why is "" if there is no mark. Error: ErrFolder.
func moveAside(folder string) (why, into string, err error) {
	mark := outdated{}
	text, err := os.ReadFile(filepath.Join(folder, outdatedName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err == nil {
		err = json.Unmarshal(text, &mark)
	}
	if err != nil || !strings.HasPrefix(mark.Into, asidePrefix) || filepath.Base(mark.Into) != mark.Into {
		return "", "", fmt.Errorf("%w: %s does not say what it is to: %w", ErrFolder, outdatedName, err)
	}
	into = filepath.Join(folder, mark.Into)
	if err = os.MkdirAll(into, 0o755); err != nil {
		return "", "", err
	}
	list, err := os.ReadDir(folder)
	for _, entry := range list {
		from := filepath.Join(folder, entry.Name())
		switch {
		case err != nil || entry.Name() == mark.Into || entry.Name() == outdatedName:
		case strings.HasPrefix(entry.Name(), asidePrefix):
			err = os.RemoveAll(from)
		default:
			err = os.Rename(from, filepath.Join(into, entry.Name()))
		}
	}
	if err == nil {
		err = os.Remove(filepath.Join(folder, outdatedName))
	}
	return mark.Why, into, err
}
