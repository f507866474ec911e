package store

import (
	"fmt"
	"testing"

	"tandem/shard"
)

// benchStore is a store of one shard with so many users, each created and a third of them updated, as the write log
// brings them.
func benchStore(b *testing.B, users int) DB {
	c := Options{Data: b.TempDir(), Shards: 3, CacheMB: 8}
	db, err := openForTest(c)
	if err != nil {
		b.Fatal(err)
	}
	if db, err = AddFamilies(db, []int{0}); err != nil {
		b.Fatal(err)
	}
	layout, counts, lsn := shard.Layout{Nodes: 3, Shards: 3}, Buckets{}, uint64(0)
	write := func(result shard.Result, id int) {
		lsn++
		n := shard.Entry{Result: result, ID: fmt.Sprint("user-", id), Name: "Ada Lovelace", Email: "ada@example.org",
			Epoch: 1, LSN: lsn}
		part := EntriesPart(layout, 0, FamilyID(db, 0), []shard.Entry{n}, lsn == 1, &counts, 1)
		if err := WriteBatch(db, JoinParts(nil, []Part{part})); err != nil {
			b.Fatal(err)
		}
	}
	for i := range users {
		write(shard.Created, i)
		if i%3 == 0 {
			write(shard.Updated, i)
		}
	}
	return db
}

// BenchmarkOpenScan shows what a page costs: opening a scan, all counts of buckets, the count of one, and 100 users.
func BenchmarkOpenScan(b *testing.B) {
	for _, users := range []int{2000, 50000} {
		db := benchStore(b, users)
		b.Run(fmt.Sprint("open/", users), func(b *testing.B) {
			for b.Loop() {
				CloseScan(OpenScan(db, 0))
			}
		})
		b.Run(fmt.Sprint("counts/", users), func(b *testing.B) {
			scan := OpenScan(db, 0)
			defer CloseScan(scan)
			for b.Loop() {
				n := 0
				_ = WalkScan(scan, []byte(MetaBucket), 0, func(key, value []byte) bool {
					n++
					_, _, ok := ReadBucket(value)
					return ok && string(key[:2]) == MetaBucket
				})
				if n < 200 {
					b.Fatal(n)
				}
			}
		})
		b.Run(fmt.Sprint("one/", users), func(b *testing.B) {
			scan := OpenScan(db, 0)
			defer CloseScan(scan)
			for b.Loop() {
				_ = WalkScan(scan, []byte(MetaBucket+"\x70"), 0, func(key, value []byte) bool { return false })
			}
		})
		b.Run(fmt.Sprint("rows100/", users), func(b *testing.B) {
			scan := OpenScan(db, 0)
			defer CloseScan(scan)
			for b.Loop() {
				n := 0
				_ = WalkScan(scan, []byte("u\x70"), 0, func(_, value []byte) bool {
					n++
					_, _ = DecodeValue(value)
					return n < 100
				})
			}
		})
	}
}
