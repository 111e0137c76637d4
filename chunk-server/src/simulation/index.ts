export * from './simulated-disk.js'
