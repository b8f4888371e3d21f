package prewarm

// IsDependency is for tests.
var IsDependency = isDependency
