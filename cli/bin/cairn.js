#!/usr/bin/env -S node --max-semi-space-size=64 --single-threaded-gc
import '../dist/src/main.js'
