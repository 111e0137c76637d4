export * from './faulty-entry-store.js'
