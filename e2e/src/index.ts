/** The harness of the whole-system tests. */
export * from './harness/certificates.js'
export * from './harness/etcd.js'
export * from './harness/folders.js'
export * from './harness/free-port.js'
export * from './harness/run.js'
export * from './harness/server.js'
export * from './harness/tools.js'
