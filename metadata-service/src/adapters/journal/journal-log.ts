/** Where the journal tells what happens to it; a pino logger fits. */
export interface JournalLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}
