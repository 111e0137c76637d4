/** The harness of the whole-system tests. */
export * from './harness/folders.js'
export * from './harness/run.js'
export * from './harness/server.js'
export * from './harness/tools.js'
