package main
func runLoad(path string) {}
