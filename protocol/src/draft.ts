/** Something whose properties are still to be set; whoever gets it as `Type` may only read it. */
export type Draft<Type> = { -readonly [Name in keyof Type]: Type[Name] }
