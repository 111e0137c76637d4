export * from './simulated-disk.js'
export * from './simulated-drive.js'
