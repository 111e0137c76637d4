/** What judges histories, on whatever they were made: shares no code with the product. */
export * from './call-history.js'
export * from './key-model.js'
export * from './linearizable.js'
