package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
)

// sealed is what a file beside the store holds: a value as JSON, and its checksum.
type sealed struct {
	Data json.RawMessage `json:"data"`
	CRC  uint32          `json:"crc"` // CRC-32C of Data
}

// Seal returns the text of a file beside the store: a value as JSON, and its checksum. Error: of a value that is no
// JSON.
func Seal(value any) ([]byte, error) {
	inner, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{inner, crc32.Checksum(inner, castagnoli)})
}

// Unseal reads a text of Seal into what value points to. Error: what is wrong with the text.
func Unseal(text []byte, value any) error {
	file := sealed{}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	if crc := crc32.Checksum(file.Data, castagnoli); crc != file.CRC {
		return fmt.Errorf("expected CRC32C %d, found %d", crc, file.CRC)
	}
	return json.Unmarshal(file.Data, value)
}

// WriteWhole puts a file in its place as a whole, synced; the names in its folder are not. Error: of the file system.
func WriteWhole(path string, text []byte) error {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// SyncFolder makes the names in a folder durable. Error: of the file system.
func SyncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
