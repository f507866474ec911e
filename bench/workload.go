package main

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// user is a User as REST speaks of it.
type user struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Group int64  `json:"group"`
}

// The parts that names and emails are made of. They never change.
var (
	firstNames = strings.Fields("Ada Alan Amina Barbara Björn Carlos Chen Dana Edsger Fatima Grace Hedy Ines Jamal Karen Leslie " +
		"Maria Niklaus Olga Priya Quentin Radia Sofia Tim Uma Viktor Wanda Xin Yusuf Zoë Łukasz Frances")
	lastNames = strings.Fields("Allen Bartik Cerf Dijkstra Estrin Feinler Goldberg Hopper Iverson Johnson Kay Lamport Liskov " +
		"Lovelace McCarthy Naur Ousterhout Perlman Quine Ritchie Shannon Thompson Turing Ullman Vaughan Wing Xu Yao Zuse Hamilton")
	domains = strings.Fields("example.org example.com example.net mail.example.org post.example.com")
)

// mix is the finaliser of splitmix64: every bit of the answer depends on every bit of x.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// makeUser returns user number i of a seed: the same one always. Distinct numbers have distinct ids.
func makeUser(seed, i uint64) user {
	const golden = 0x9e3779b97f4a7c15
	base := mix(seed*golden + golden)
	// Two independent mixes of i make 122 bits, once the UUID's version and variant are set: no two numbers meet.
	high, low := mix(base+i), mix(^base+i*golden)
	var id uuid.UUID
	for k := range 8 {
		id[k], id[8+k] = byte(high>>(8*k)), byte(low>>(8*k))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	pick := mix(high + golden)
	first, last := firstNames[pick%uint64(len(firstNames))], lastNames[pick>>16%uint64(len(lastNames))]
	email := fmt.Sprintf("%s.%s.%d@%s", strings.ToLower(first), strings.ToLower(last), i,
		domains[pick>>32%uint64(len(domains))])
	return user{ID: id.String(), Name: first + " " + last, Email: email, Group: int64(pick >> 40 % 1000)}
}
