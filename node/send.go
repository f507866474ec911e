package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tandem/wire"
)

const (
	unreadOwn  = 64 << 10        // bytes of answers that a connection may leave unread for nothing
	unreadUnit = 64 << 10        // beyond that it takes its share of what all may, in steps of so many bytes
	stallFor   = 2 * time.Second // without a byte that a client takes, its connection is closed
)

// batch is what is sent at once: frames, how many bytes of them count as unread, how many requests they answer, and who
// waits for pages among them to leave.
type batch struct {
	frames []byte
	unread int
	slots  int
	left   []chan<- struct{}
}

// newConn makes a connection that speaks frames. The requests that it may have under way, and the pages, are bounded.
func newConn(node *Node, raw net.Conn, codec wire.Codec) *conn {
	return &conn{Raw: raw, Codec: codec, Out: make(chan answers, maxInFlight+maxInFlight/4),
		Slots: make(chan struct{}, maxInFlight),
		Pages: make(chan struct{}, max(1, node.Config.UnreadEachMB<<20/pageMost)), Ended: make(chan struct{})}
}

// sendAnswers is the loop that owns what a connection has to send: all that waits goes out in one system call. What the
// system does not take at once, as the client does not read, a goroutine pushes on while the loop takes what comes, so
// that it always knows how much is unread; beyond the connection's share, or when all connections have no more, the
// connection is closed. A request's slot is free when its answer has left, so that a client that does not read is read
// no further. After the reader has finished the loop sends what is left and ends.
func sendAnswers(node *Node, clients *Clients, conn *conn, finished <-chan struct{}) {
	defer close(conn.Ended)
	send, waiting := sender(conn.Raw), []answers(nil)
	var moving batch // what the goroutine pushes; it does while there are frames
	unread, taken, added := 0, 0, 0
	pushed, last, broken := make(chan error, 1), false, error(nil)
	for broken == nil && (!last || len(waiting)+len(moving.frames) > 0) {
		select {
		case a := <-conn.Out:
			runtime.Gosched() // what else is about to be answered shares the system call
			waiting, added = queueAnswers(conn.Codec, waiting, conn.Out, a)
			unread += added
		case broken = <-pushed:
			unread -= moving.unread
			moving = free(conn, moving)
		case <-finished:
			waiting, added = queueAnswers(conn.Codec, waiting, conn.Out, answers{})
			unread, last, finished = unread+added, true, nil
		}
		for sent := 0; broken == nil && len(waiting) > 0 && len(moving.frames) == 0; {
			moving, waiting = fillBatch(moving, waiting)
			if sent, broken = send(moving.frames); sent == len(moving.frames) {
				unread -= moving.unread
				moving = free(conn, moving)
			} else if broken == nil {
				go push(conn.Raw, moving.frames[sent:], pushed)
			}
		}
		if broken == nil {
			taken, broken = takeUnread(node, clients, taken, unread)
		}
	}
	for range taken {
		<-clients.Unread
	}
	if errors.Is(broken, errUnread) {
		clients.ConnEvents <- connEvent{Raw: conn.Raw, Unread: broken.Error()}
	}
	if broken != nil {
		conn.Raw.Close() // which ends the reader, and whoever pushes
	}
}

// errUnread is the end of a connection that leaves too much unread, or anything for too long.
var errUnread = errors.New("its client does not read")

// takeUnread takes units of what all connections may leave unread, or gives them back, so that they cover one that
// leaves so many bytes. Error: errUnread, if that is more than its share, or all are taken.
func takeUnread(node *Node, clients *Clients, taken, bytes int) (int, error) {
	if most := max(unreadOwn, int(node.Config.UnreadEachMB<<20)); bytes > most {
		return taken, fmt.Errorf("%w: %d bytes are unread, %d are allowed (--unread-each-mb)", errUnread, bytes, most)
	}
	want := max(0, bytes-unreadOwn+unreadUnit-1) / unreadUnit
	for ; taken > want; taken-- {
		<-clients.Unread
	}
	for ; taken < want; taken++ {
		select {
		case clients.Unread <- struct{}{}:
		default:
			return taken, fmt.Errorf("%w: %d bytes are unread, and others leave unread all that is allowed (--unread-mb)",
				errUnread, bytes)
		}
	}
	return taken, nil
}

// queueAnswers appends an answer and what else waits, up to about the size of a page, and returns how many bytes of it
// count as unread until they have left.
func queueAnswers(codec wire.Codec, waiting []answers, more <-chan answers, a answers) (queue []answers, unread int) {
	for size := 0; ; {
		if m := a.Message; m != nil {
			if m.Kind == wire.Outcome || m.Kind == wire.Counts || m.Kind == wire.Page || m.Kind == wire.Error {
				a.Count++
			}
			a.Message, a.Frames = nil, codec.AppendFrame(a.Frames, m)
		}
		if len(a.Frames) > 0 {
			waiting = append(waiting, a)
		}
		size += len(a.Frames)
		if a.Left == nil {
			unread += len(a.Frames)
		}
		if size > wire.PageBytes {
			return waiting, unread
		}
		select {
		case a = <-more:
		default:
			return waiting, unread
		}
	}
}

// fillBatch moves answers that wait into an empty batch, up to about the size of a page. A page is not copied.
func fillBatch(b batch, waiting []answers) (batch, []answers) {
	n := 0
	for ; n < len(waiting); n++ {
		a := &waiting[n]
		if n > 0 && len(b.frames)+len(a.Frames) > wire.PageBytes {
			break
		}
		if n == 0 && len(a.Frames) > unreadUnit {
			b.frames = a.Frames[:len(a.Frames):len(a.Frames)]
		} else {
			b.frames = append(b.frames, a.Frames...)
		}
		b.slots += a.Count
		if a.Left != nil {
			b.left = append(b.left, a.Left)
		} else {
			b.unread += len(a.Frames)
		}
	}
	rest := waiting[:copy(waiting, waiting[n:])]
	clear(waiting[len(rest):])
	return b, rest
}

// free empties a batch that has left: the requests that it answers are no longer under way. Its buffer is kept, but
// not a large one.
func free(conn *conn, b batch) batch {
	for range b.slots {
		select {
		case <-conn.Slots:
		default: // an error that answers no request
		}
	}
	for _, left := range b.left {
		close(left)
	}
	clear(b.left)
	if cap(b.frames) > unreadUnit {
		return batch{left: b.left[:0]}
	}
	return batch{frames: b.frames[:0], left: b.left[:0]}
}

// sender returns a function that sends as many bytes as the system takes without waiting, and returns how many those
// are; none of a connection that knows no such sending.
func sender(raw net.Conn) func(frames []byte) (int, error) {
	by, knows := raw.(syscall.Conn)
	if !knows {
		return func([]byte) (int, error) { return 0, nil }
	}
	file, bad := by.SyscallConn()
	var what []byte
	var sent int
	var err error
	once := func(fd uintptr) bool {
		sent, err = unix.Write(int(fd), what)
		return true
	}
	return func(frames []byte) (int, error) {
		if bad != nil {
			return 0, bad
		}
		what = frames
		if closed := file.Write(once); closed != nil {
			return 0, closed
		}
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			err = nil
		}
		return max(sent, 0), err
	}
}

// push sends bytes for as long as the client takes some of them, and tells when they have left, or why they cannot.
func push(raw net.Conn, frames []byte, pushed chan<- error) {
	for len(frames) > 0 {
		_ = raw.SetWriteDeadline(time.Now().Add(stallFor))
		sent, err := raw.Write(frames)
		frames = frames[sent:]
		if errors.Is(err, os.ErrDeadlineExceeded) && sent > 0 {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: it took nothing for %v", errUnread, stallFor)
		}
		if err != nil {
			pushed <- err
			return
		}
	}
	_ = raw.SetWriteDeadline(time.Time{})
	pushed <- nil
}
