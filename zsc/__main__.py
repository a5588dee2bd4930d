from zsc.cli.main import main

raise SystemExit(main())
