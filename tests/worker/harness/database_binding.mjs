// Looks like a D1 database to the Worker and hands each call to faulty_database.mjs.

class Statement {
  constructor(env, sql, parameters) {
    this.env = env;
    this.sql = sql;
    this.parameters = parameters;
  }

  bind(...parameters) {
    return new Statement(this.env, this.sql, parameters);
  }

  async all() {
    return { results: await this.env.DATABASE.all(this.sql, this.parameters) };
  }
}

export default function (env) {
  return {
    prepare: (sql) => new Statement(env, sql, []),
    batch: (statements) => env.DATABASE.batch(statements.map(({ sql, parameters }) => ({ sql, parameters }))),
  };
}
