module straddle/native

go 1.26
