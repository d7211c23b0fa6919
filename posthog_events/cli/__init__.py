"""The command line: one file per noun; parse, call one public function, print."""
