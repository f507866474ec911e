package shard

// ChooseCluster decides which cluster a gateway serves, by what each node of its settings has said last: its cluster's
// incarnation, zero if it has said nothing or belongs to none. chosen is the one that it serves, zero for none; waited
// tells that those who can be reached have had the time to answer.
//
// What more than half of all nodes say is the cluster, whatever was chosen before: it may have been made anew. Until
// then the choice stays; without one it is, once waited, what the most of those say that have said anything, if it is
// the only such. A single node whose address has come to belong to another cluster therefore never takes a gateway with
// it while its own cluster has more nodes there.
func ChooseCluster(said [][16]byte, chosen [16]byte, waited bool) [16]byte {
	none := [16]byte{}
	votes, most, second := map[[16]byte]int{}, none, 0
	for _, id := range said {
		if id != none {
			votes[id]++
		}
	}
	for _, id := range said { // in the nodes' order, so that equal settings give equal choices
		switch {
		case id == none || id == most:
		case votes[id] > votes[most]:
			most, second = id, votes[most]
		default:
			second = max(second, votes[id])
		}
	}
	switch {
	case votes[most] > len(said)/2:
		return most
	case chosen != none:
		return chosen
	case waited && votes[most] > second:
		return most
	}
	return none
}
