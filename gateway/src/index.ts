export * from './app.js'
export * from './authentication/principal.js'
export * from './config.js'
export * from './ports.js'
