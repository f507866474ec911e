package wal

// Found is a segment as a recovery has found it.
type Found struct {
	Number uint64
	Last   uint64 // the greatest sequence that a block of it, or of a segment before it, bears
	Bytes  int64
}

// Recovery is what the segments tell of a log. Begin makes one, Add takes a segment after another, in order.
type Recovery struct {
	LogID      uint64  // of the log; 0 if no segment says it
	Flushed    uint64  // the state behind the log had all batches up to this sequence
	Last       uint64  // the greatest sequence that a whole block bears
	Segments   []Found // in order
	Pieces     []Piece // what lies behind Flushed; batches up to it are left out, and what is bad among them
	Unreadable bool    // there are segments that are not empty, and no header of any can be read
}

// Begin makes a recovery of the headers of all segments, of which some may be zero, as they cannot be read.
func Begin(headers []Header) Recovery {
	r := Recovery{}
	for _, h := range headers {
		if h.LogID != 0 {
			r.LogID = h.LogID
		}
	}
	for _, h := range headers {
		if h.LogID == r.LogID {
			r.Flushed = max(r.Flushed, h.Flushed)
		}
	}
	return r
}

// Segment is a segment as Scan has found it. Its header is zero if that cannot be read.
type Segment struct {
	Number uint64
	Header Header
	Bytes  int64
	Empty  bool // no byte of it was ever written
	Pieces []Piece
	Last   uint64
}

// Add takes a segment.
//
// A segment whose header tells that everything before it is flushed makes void what was found so far: also a torn or a
// damaged end of what a process before has written. Else what is bad among batches that are flushed is void where a
// batch shows that it lies among them. A segment that is missing leaves a bad place.
func Add(r Recovery, s Segment) Recovery {
	ours := s.Header.LogID != 0 && s.Header.LogID == r.LogID
	if n := len(r.Segments); n > 0 && r.Segments[n-1].Number+1 != s.Number {
		r.Pieces = append(r.Pieces, Piece{Kind: Bad})
	}
	if ours && s.Header.Flushed >= r.Last {
		r.Pieces = nil
	}
	r.Unreadable = r.LogID == 0 && (r.Unreadable || !s.Empty)
	for _, p := range s.Pieces {
		if p.Kind != Whole || p.Sequence > r.Flushed+1 {
			r.Pieces = append(r.Pieces, p)
			continue
		}
		r.Pieces = nil // up to here everything is flushed
		if p.Sequence > r.Flushed {
			r.Pieces = []Piece{p}
		}
	}
	r.Last = max(r.Last, r.Flushed, s.Last)
	r.Segments = append(r.Segments, Found{s.Number, r.Last, s.Bytes})
	return r
}

// End returns the recovery of a log of which all segments were added. What lies behind Flushed must begin with the next
// batch.
func End(r Recovery) Recovery {
	for _, p := range r.Pieces {
		if p.Kind != Whole {
			continue
		}
		if p.Sequence != r.Flushed+1 {
			r.Pieces = append([]Piece{{Kind: Bad}}, r.Pieces...)
		}
		break
	}
	if r.Unreadable { // what was there is gone
		r.Pieces = []Piece{{Kind: Bad}, {Kind: Begun}, {Kind: Bad}}
	}
	return r
}
