package main

import "math"

// theta is the skew that YCSB has by default.
const theta = 0.99

// zipf is a zipfian distribution over the ranks 0 to n-1, prepared after Gray et al., "Quickly generating
// billion-record synthetic databases" (SIGMOD 1994), as YCSB does it.
type zipf struct{ n, zeta, alpha, eta, half float64 }

// newZipf prepares the distribution over n ranks.
func newZipf(n uint64) zipf {
	z := zipf{n: float64(max(n, 2)), alpha: 1 / (1 - theta), half: 1 + math.Pow(0.5, theta)}
	for i := range max(n, 2) {
		z.zeta += 1 / math.Pow(float64(i+1), theta)
	}
	z.eta = (1 - math.Pow(2/z.n, 1-theta)) / (1 - z.half/z.zeta)
	return z
}

// rank returns the rank that a chance, evenly distributed over all numbers, stands for.
func rank(z zipf, chance uint64) uint64 {
	u := float64(chance>>11) / (1 << 53)
	switch at := u * z.zeta; {
	case at < 1:
		return 0
	case at < z.half:
		return 1
	}
	return min(uint64(z.n*math.Pow(z.eta*u-z.eta+1, z.alpha)), uint64(z.n)-1)
}
