export * from './faulty-entry-store.js'
export * from './mirror-source.js'
